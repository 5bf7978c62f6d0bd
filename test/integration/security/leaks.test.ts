/** What a container could get hold of that is not its own: descriptors, init, scow's program. */

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Edit } from '../../helpers/container.ts';
import {
  bundleOf,
  cleanUp,
  commandOf,
  ENGINES,
  type Engine,
  eventually,
  newId,
  running,
  scow,
  scowWords,
} from '../../helpers/scow.ts';
import { fingerprint, makeCanary, picture } from './host.ts';

afterEach(cleanUp);

const MOST = 24;

/** Runs scow, which has directories of the host open from descriptor 3 on. */
function runWithDirectories(engine: Engine, flags: readonly string[], edit: Edit, open: string) {
  const bundle = bundleOf(edit);
  symlinkSync('/proc/self/fd', join(bundle, 'rootfs/link'));
  const [command, ...first] = scowWords(engine);
  const fds = Array.from({ length: MOST }, () => openSync(open, 'r'));
  try {
    return spawnSync(command, [...first, 'run', ...flags, '-b', bundle, newId()], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe', ...fds],
    });
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

describe.each(ENGINES)('an init that waits for its start (%s)', (engine) => {
  test('holds no more than it waits at', () => {
    const id = newId();
    const options = { engine } as const;
    expect(scow(['create', '--bundle', bundleOf(), id], options)).toMatchObject({ stderr: '' });
    const { pid } = JSON.parse(scow(['state', id], options).stdout);
    const open = readdirSync(`/proc/${pid}/fd`)
      .filter((fd) => Number(fd) > 2)
      .map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\d+/, 'N'));
    expect(open).toEqual(['socket:[N]', expect.stringMatching(/\/exec\.fifo$/)]);
  });
});

describe.each(ENGINES)('open directories of the host (%s)', (engine) => {
  test('are not passed on', () => {
    const canary = makeCanary();
    const { status, stdout, stderr } = runWithDirectories(
      engine,
      [],
      running('sh', '-c', 'for fd in /proc/self/fd/*; do readlink $fd; done; ls /proc/self/fd/3/'),
      canary,
    );
    expect(status).toBe(1);
    expect(stdout).not.toContain('canary');
    expect(stdout.trim().split('\n').length).toBeLessThanOrEqual(4);
    expect(stderr).toContain('No such file');
  });

  test('are no working directory', () => {
    const canary = makeCanary();
    const before = picture(canary);
    for (const link of ['/proc/self/fd', '/proc/1/fd', '/link', '/proc/thread-self/fd'])
      for (const fd of [0, 1, 3, 4, 7, 9, 12, 20]) {
        const { status, stdout, stderr } = runWithDirectories(
          engine,
          [],
          (config) => {
            running('sh', '-c', 'echo escaped; pwd; ls; ls ../../..')(config);
            if (config.process) config.process.cwd = `${link}/${fd}`;
          },
          canary,
        );
        expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
        expect(stderr).toMatch(/^scow: .*working directory.*\[\/process\/cwd\]\n$/);
        if (engine === 'node') break;
      }
    expect(picture(canary)).toEqual(before);
  });

  test('are no working directory when they are passed on', () => {
    const canary = makeCanary();
    for (const cwd of ['/proc/self/fd/3', '/proc/self/fd/4/directory', '/proc/self/fd/3/..']) {
      const { status, stdout, stderr } = runWithDirectories(
        engine,
        ['--preserve-fds', '2'],
        (config) => {
          running('pwd')(config);
          if (config.process) config.process.cwd = cwd;
        },
        canary,
      );
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(/^scow: .*working directory.*\[\/process\/cwd\]\n$/);
    }
  });
});

describe.each(ENGINES)("scow's own program (%s)", (engine) => {
  const files = [...commandOf(engine), process.execPath, join(process.cwd(), 'build/scow-engine')];

  test('is not what /proc/self/exe leads to, and cannot be written', () => {
    const before = files.map(fingerprint);
    const bundle = bundleOf((config) => {
      config.root = { path: 'rootfs', readonly: false };
      config.process = {
        ...config.process,
        cwd: '/',
        user: { uid: 0, gid: 0 },
        capabilities: { bounding: [], effective: [], permitted: [] },
      };
    });
    const rootfs = join(bundle, 'rootfs');
    writeFileSync(join(rootfs, 'bin/script'), '#!/proc/self/exe\n', { mode: 0o755 });
    symlinkSync('/proc/self/exe', join(rootfs, 'bin/linked'));
    for (const args of [['/proc/self/exe'], ['/bin/script'], ['/bin/linked', 'run', 'x']]) {
      const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
      config.process.args = args;
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
      const { status, stdout } = scow(['run', '-b', bundle, newId()], { engine });
      expect(status).not.toBe(0);
      expect(stdout).toBe('');
    }
    expect(files.map(fingerprint)).toEqual(before);
  });

  test('cannot be overwritten from a container that runs or shares the PID namespace', () => {
    const before = files.map(fingerprint);
    const script =
      'for f in /proc/*/exe; do (echo overwritten > $f) 2>/dev/null && echo $f; done; true';
    const bundle = bundleOf((config) => {
      running('sh', '-c', script)(config);
      config.root = { path: 'rootfs', readonly: true };
    });
    expect(scow(['run', '-b', bundle, newId()], { engine })).toMatchObject({
      status: 0,
      stdout: '',
    });
    expect(files.map(fingerprint)).toEqual(before);
  });
});

/**
 * Looks, until it is killed, for ways into init of another container: everything of /proc that
 * leads to its files, its memory or its descriptors. Prints what it could read.
 */
const SPY = `
  echo watching
  while :; do
    for p in /proc/[0-9]*; do
      case $(cat $p/comm 2>/dev/null) in scow*) ;; *) continue ;; esac
      echo met
      ls $p/root/ $p/cwd/ $p/fd/*/ $p/map_files/* 2>/dev/null
      readlink $p/exe $p/cwd $p/root $p/fd/* $p/ns/* 2>/dev/null
      for file in mem environ maps smaps auxv syscall stack io; do
        [ -z "$(head -c9 $p/$file 2>/dev/null | tr '\\0' 0)" ] || echo read $file
      done
    done
  done`;

describe.each([
  ['without capabilities', []],
  ['with the usual capabilities', undefined],
] as const)('a process of a joined PID namespace %s', (_, capabilities) => {
  test('finds no way into an init that is being made or waits', async () => {
    const id = newId();
    const spy = bundleOf((config) => {
      running('sh', '-c', SPY)(config);
      if (config.process && capabilities !== undefined)
        config.process.capabilities = { bounding: [], effective: [], permitted: [] };
    });
    const { stdoutFile } = scow(['run', '--detach', '-b', spy, id], { engine: 'bun' });
    await eventually(() => readFileSync(stdoutFile, 'utf8').includes('watching'));
    const { pid } = JSON.parse(scow(['state', id]).stdout);
    const bundle = bundleOf((config) => {
      for (const namespace of config.linux?.namespaces ?? [])
        if (namespace.type === 'pid') namespace.path = `/proc/${pid}/ns/pid`;
    });
    const ids = Array.from({ length: 8 }, newId);
    for (const other of ids)
      expect(scow(['create', '-b', bundle, other], { engine: 'bun' })).toMatchObject({ status: 0 });
    const meetings = () => readFileSync(stdoutFile, 'utf8').split('met\n').length;
    const then = meetings();
    await eventually(() => meetings() > then + 2 * ids.length);
    for (const other of ids) scow(['delete', '--force', other], { engine: 'bun' });
    scow(['delete', '--force', id], { engine: 'bun' });
    const seen = new Set(readFileSync(stdoutFile, 'utf8').trim().split('\n'));
    expect([...seen].sort()).toEqual(['met', 'watching']);
  }, 120_000);
});
