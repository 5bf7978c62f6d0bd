import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS, NOT_YET } from '../../../runtime/cli/table.ts';
import { VERSION } from '../../../schemas/version.ts';
import { reachableBuild } from '../../helpers/reachable-build.ts';
import {
  bundleOf,
  cleanUp,
  commandOf,
  ENGINES,
  newId,
  runc,
  running,
  scow,
  testDirectory,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

describe.each(ENGINES)('under %s', (engine) => {
  test('the version is told in lines that engines know', () => {
    for (const flag of ['--version', '-v']) {
      const { status, stdout } = scow([flag], { engine });
      expect(status).toBe(0);
      const commit = engine === 'bun' ? '(commit: [0-9a-f]{40}\n)?' : '';
      expect(stdout).toMatch(
        new RegExp(`^scow version ${VERSION}\n${commit}spec: 1\\.3\\.0\nengine: ${engine} \\S+\n$`),
      );
    }
  });

  test('help names every command and, for a command, every flag', () => {
    const all = scow(['--help'], { engine });
    expect(all).toMatchObject({ status: 0, stderr: '' });
    expect(scow([], { engine }).stdout).toBe(all.stdout);
    for (const { name, about } of COMMANDS)
      expect(all.stdout).toMatch(new RegExp(`scow ${name} +${about}`));
    const run = scow(['run', '--help', '--bundle', 'x'], { engine });
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toContain('scow run [flags] <container-id>');
    for (const flag of ['-b, --bundle', '--console-socket', '--keep', '-d, --detach', '--pid-file'])
      expect(run.stdout).toContain(flag);
    expect(scow(['help', 'run'], { engine }).stdout).toBe(run.stdout);
  });

  test('what cannot be written is said, with status 1', () => {
    const [command, ...first] = commandOf(engine);
    const line = [command, ...first, '--version'].map((word) => `'${word}'`).join(' ');
    const { status, stderr } = spawnSync('sh', ['-c', `${line} >/dev/full`], { encoding: 'utf8' });
    expect(stderr).toBe(
      'scow: cannot write to standard output: no space left on device (ENOSPC)\n',
    );
    expect(status).toBe(1);
  });

  test("the caller's stdio stays blocking", () => {
    const [command, ...first] = commandOf(engine);
    const line = [command, ...first, 'list'].map((word) => `'${word}'`).join(' ');
    const script = `${line}; ${line} nonsense; cat /proc/self/fdinfo/0 /proc/self/fdinfo/1 /proc/self/fdinfo/2`;
    const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
    const flags = [...stdout.matchAll(/^flags:\s+(\d+)$/gm)].map(([, text]) =>
      Number.parseInt(text ?? '', 8),
    );
    expect(flags.length).toBe(3);
    for (const flag of flags) expect(flag & 0o4000).toBe(0);
  });

  test('with --debug it is logged what is done, and where a failure came from', () => {
    const log = join(testDirectory(), 'log');
    const id = newId();
    const flags = ['--debug', '--log', log, '--log-format=json'];
    const bundle = bundleOf(running('true'));
    expect(scow([...flags, 'run', '-b', bundle, id], { engine })).toMatchObject({
      status: 0,
      stderr: '',
    });
    scow([...flags, 'state', id], { engine });
    const lines = readFileSync(log, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.some(({ level }) => level === 'debug')).toBe(true);
    const failure = lines.findIndex(({ level }) => level === 'error');
    expect(lines[failure].msg).toMatch(/^container does not exist/);
    expect(lines[failure + 1]).toMatchObject({
      level: 'debug',
      msg: expect.stringMatching(/\n +at /),
    });
  });

  test('without --debug there is no stack trace, with whatever arguments', () => {
    for (const args of [
      ['--root', '/dev/null/x', 'list'],
      ['--root', '/dev/null', 'create', 'a'],
      ['state', 'a\nb'],
    ]) {
      const { status, stderr } = scow(args, { engine, cwd: bundleOf() });
      expect({ args, status }).toEqual({ args, status: 1 });
      expect(stderr).toMatch(/^scow: [^\n]+\n$/);
    }
  });

  test('spec writes the same bundle for scow and for runc', () => {
    const bundle = bundleOf();
    const other = join(testDirectory(), 'other');
    mkdirSync(other);
    expect(scow(['spec', '--bundle', other], { engine })).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    });
    const text = readFileSync(join(other, 'config.json'), 'utf8');
    expect(text).toMatch(/^\{\n\t"ociVersion"/);
    expect(statSync(join(other, 'config.json')).mode & 0o777).toBe(0o666 & ~process.umask());
    const config = JSON.parse(text);
    config.process.terminal = false;
    config.process.args = ['sh', '-c', 'hostname; id; cat /proc/self/status | grep Cap'];
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
    const [got, expected] = [scow, runc].map((run) =>
      run(['run', '-b', bundle, newId()], { engine }),
    );
    expect(got).toMatchObject({ status: 0, stdout: expected?.stdout, stderr: '' });
  });
});

describe('an ordinary user', () => {
  const asNobody = (env: NodeJS.ProcessEnv, ...args: string[]) => {
    chmodSync(testDirectory(), 0o755);
    const command = join(reachableBuild(testDirectory()), 'scow');
    return spawnSync(
      'setpriv',
      ['--reuid', '65534', '--regid', '65534', '--clear-groups', command, ...args],
      { encoding: 'utf8', env: { PATH: process.env.PATH, ...env } },
    );
  };

  test('keeps state in $XDG_RUNTIME_DIR/scow', () => {
    const runtimeDirectory = join(testDirectory(), 'runtime');
    mkdirSync(join(runtimeDirectory, 'scow/mine'), { recursive: true });
    const { status, stderr } = asNobody({ XDG_RUNTIME_DIR: runtimeDirectory }, 'list');
    expect(status).toBe(0);
    expect(stderr).toContain(`there is no "mine" in ${runtimeDirectory}/scow`);
  });

  test('without XDG_RUNTIME_DIR is told to give a place', () => {
    const { status, stderr } = asNobody({}, 'list');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^scow: [^\n]*set XDG_RUNTIME_DIR[^\n]*--root DIR\n$/);
  });
});

test.each(NOT_YET)('%s is not supported yet', (command) => {
  const { status, stdout, stderr } = scow([command, 'id', '--flag'], { engine: 'bun' });
  expect({ status, stdout, stderr }).toEqual({
    status: 1,
    stdout: '',
    stderr: `scow: ${command} is not supported yet\n`,
  });
});
