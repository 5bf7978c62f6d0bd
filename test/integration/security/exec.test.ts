/** What a hostile container can do to an exec: to the process that joins it, to scow, to the host. */

import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { type Edit, writable } from '../../helpers/container.ts';
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
  startScow,
  stateOf,
} from '../../helpers/scow.ts';
import { fingerprint, makeCanary, picture } from './host.ts';

afterEach(cleanUp);

/** Starts a container whose program is a script. */
function start(
  script: string,
  edit: Edit = () => {},
  prepare: (rootfs: string) => void = () => {},
) {
  const bundle = bundleOf((config) => {
    running('sh', '-c', script)(config);
    writable(config);
    edit(config);
  });
  prepare(join(bundle, 'rootfs'));
  const id = newId();
  const { status, stderr, stdoutFile } = scow(['run', '--detach', '-b', bundle, id], {
    engine: 'bun',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return { id, bundle, output: () => readFileSync(stdoutFile, 'utf8') };
}

const SLEEP = 'exec sleep 1000';

function exec(id: string, args: readonly string[], engine: Engine = 'bun', flags: string[] = []) {
  return scow(['exec', ...flags, id, ...args], { engine });
}

/** The processes of a container. */
function processesOf(id: string): number[] {
  const { cgroup } = stateOf(id);
  return Cgroup.at(cgroup ?? '').processes({ recursive: true });
}

const ONE_LINE = /^scow: [^\n]+\n$/;

describe.each(ENGINES)('open directories of the host (%s)', (engine) => {
  const MOST = 12;
  const execWith = (id: string, flags: string[], args: string[], directory: string) => {
    const [command, ...first] = scowWords(engine);
    const fds = Array.from({ length: MOST }, () => openSync(directory, 'r'));
    try {
      const words = [...first, 'exec', ...flags, id, ...args];
      return spawnSync(command, words, {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe', ...fds],
      });
    } finally {
      for (const fd of fds) closeSync(fd);
    }
  };

  test('are not passed on, and are no working directory', () => {
    const canary = makeCanary();
    const { id } = start(
      SLEEP,
      () => {},
      (rootfs) => symlinkSync('/proc/self/fd', `${rootfs}/link`),
    );
    const before = picture(canary);
    const script = 'for fd in /proc/self/fd/*; do readlink $fd; done; true';
    const { status, stdout } = execWith(id, [], ['sh', '-c', script], canary);
    expect({ status, found: stdout.includes('canary') }).toEqual({ status: 0, found: false });
    const numbers = engine === 'bun' ? [0, 3, 4, 5, 6, 7, 8, 9, 10, 12] : [7];
    for (const link of ['/proc/self/fd', '/link'])
      for (const fd of numbers) {
        const flags = ['--cwd', `${link}/${fd}`];
        const tried = execWith(id, flags, ['sh', '-c', 'pwd; test . -ef / || echo out'], canary);
        // One may be of the container's own root directory.
        if (tried.stdout === '/\n') continue;
        expect(tried.stdout).toBe('');
        expect(tried.status).not.toBe(0);
        expect(tried.stderr).toMatch(/^scow: .*working directory[^\n]*\n$/);
      }
    for (const cwd of ['/proc/self/fd/3', '/proc/self/fd/4/directory', '/proc/self/fd/3/..']) {
      const flags = ['--preserve-fds', '2', '--cwd', cwd];
      const { status: failed, stdout: nothing } = execWith(id, flags, ['pwd'], canary);
      expect({ failed: failed !== 0, nothing }).toEqual({ failed: true, nothing: '' });
    }
    expect(picture(canary)).toEqual(before);
  });
});

const PROGRAMS = [...commandOf('bun'), process.execPath, join(process.cwd(), 'build/scow-engine')];

/** Writes to the program of every process that it meets, in the blink in which it is there. */
const OVERWRITE = `
  echo watching
  while :; do
    for p in /proc/[0-9]*; do
      case $p in /proc/1|/proc/$$) continue ;; esac
      (echo overwritten > $p/exe) 2>/dev/null && readlink $p/exe
    done
  done`;

test('the program of scow cannot be overwritten through the process that joins', async () => {
  const before = PROGRAMS.map(fingerprint);
  const { id, output } = start(
    OVERWRITE,
    () => {},
    (rootfs) => {
      writeFileSync(join(rootfs, 'bin/script'), '#!/proc/self/exe\n', { mode: 0o755 });
      symlinkSync('/proc/self/exe', join(rootfs, 'bin/linked'));
    },
  );
  await eventually(() => output().includes('watching'));
  for (const program of ['/proc/self/exe', '/bin/script', '/bin/linked', 'true'])
    for (let i = 0; i < 5; i++) {
      const { status, stdout, stderr } = exec(id, [program, '--version']);
      expect(stdout).toBe('');
      if (program !== 'true' && program !== '/bin/linked') expect(status).not.toBe(0);
      expect(stderr).not.toMatch(/spec: 1/);
    }
  expect(PROGRAMS.map(fingerprint)).toEqual(before);
}, 120_000);

/** Looks for ways into the process that joins: everything of /proc that leads to what it has. */
const SPY = `
  joins() { case $(cat $p/comm 2>/dev/null) in scow*) ;; *) false ;; esac; }
  echo watching
  while :; do
    for p in /proc/[0-9]*; do
      joins || continue
      echo met
      found=$(
        ls $p/root/ $p/cwd/ $p/fd/*/ $p/map_files/* 2>/dev/null
        readlink $p/exe $p/cwd $p/root $p/fd/* $p/ns/* 2>/dev/null
        for file in mem environ maps smaps auxv syscall stack io; do
          [ -z "$(head -c9 $p/$file 2>/dev/null | tr '\\0' 0)" ] || echo read $file
        done
      )
      # It may be the program by now.
      joins && [ -n "$found" ] && echo "$found"
    done
  done`;

test('nothing of the process that joins can be seen', async () => {
  const { id, output } = start(SPY);
  await eventually(() => output().includes('watching'));
  const met = () => output().includes('met\n');
  for (let i = 0; i < 10 || (i < 100 && !met()); i++)
    expect(exec(id, ['true'])).toMatchObject({ status: 0, stderr: '' });
  const seen = new Set(output().trim().split('\n'));
  seen.delete('met');
  expect([...seen]).toEqual(['watching']);
}, 120_000);

/** Sends a signal to whatever joins, as soon as it is there. */
const interfere = (signal: string) => `
  echo watching
  while :; do
    for p in /proc/[0-9]*; do
      case $(cat $p/comm 2>/dev/null) in scow*) kill -${signal} \${p#/proc/} && echo sent ;; esac
    done
  done`;

test('a process that is killed while it joins is told of, or was too fast', async () => {
  const { id, output } = start(interfere('KILL'));
  await eventually(() => output().includes('watching'));
  for (let i = 0; i < 15; i++) {
    const { status, stderr } = exec(id, ['true']);
    if (status === 0) expect(stderr).toBe('');
    else if (status !== 137) expect(stderr).toMatch(ONE_LINE);
  }
  expect(scow(['kill', id, 'KILL'], { engine: 'bun' })).toMatchObject({ status: 0, stderr: '' });
}, 120_000);

test('a process that is stopped while it joins holds nobody up but its own exec', async () => {
  const { id, output } = start(interfere('STOP'));
  await eventually(() => output().includes('watching'));
  const execs = Array.from({ length: 4 }, () => startScow(['exec', id, 'true'], { engine: 'bun' }));
  await eventually(
    () => output().includes('sent') || execs.every(({ child }) => child.exitCode !== null),
  );
  expect(scow(['state', id], { engine: 'bun' })).toMatchObject({ status: 0, stderr: '' });
  expect(scow(['delete', '--force', id], { engine: 'bun' })).toMatchObject({
    status: 0,
    stderr: '',
  });
  for (const { ended } of execs) {
    const { status, stderr } = await ended;
    expect(stderr).toMatch(status === 0 || status === 137 ? /^$/ : ONE_LINE);
  }
}, 120_000);

describe('--user', () => {
  const passwd = (rootfs: string) =>
    writeFileSync(
      join(rootfs, 'etc/passwd'),
      'root:x:0:0::/root:\n1000:x:0:0::/:\n0x3e8:x:0:0::/:\nuser:x:1000:1000::/:\n',
    );
  // Not by id(1), which reads those files itself.
  const ids = (id: string, user: string) => {
    const { status, stdout, stderr } = exec(id, ['cat', '/proc/self/status'], 'bun', [
      '--user',
      user,
    ]);
    if (status !== 0) return stderr;
    return ['Uid', 'Gid']
      .map((name) => new RegExp(`^${name}:\\t(\\d+)`, 'm').exec(stdout)?.[1])
      .join(':');
  };

  test('is a whole number or a whole name', () => {
    const { id } = start(SLEEP, () => {}, passwd);
    expect(ids(id, '1000')).toBe('1000:0');
    expect(ids(id, 'user')).toBe('1000:1000');
    expect(ids(id, '7:8')).toBe('7:8');
    const wrong = [
      ':',
      '0x3e8',
      '1000x',
      '1e3',
      '+0',
      '-1',
      ' 0',
      '0 ',
      '4294967295',
      '4294967296',
    ];
    for (const user of [
      ...wrong,
      '1000:',
      '1000:0:0',
      '1000:x',
      '٠',
      'nobody-there',
      'user/../root',
    ])
      expect(`${user} ${ids(id, user)}`).toMatch(/^.* scow: [^\n]+\n$/);
  }, 120_000);

  test.each([
    ['a FIFO', (file: string) => void spawnSync('mkfifo', [file])],
    ['a symlink to the host', (file: string) => symlinkSync('/proc/1/root/etc/passwd', file)],
    ['a device', (file: string) => void spawnSync('mknod', [file, 'c', '1', '5'])],
    ['huge', (file: string) => void spawnSync('truncate', ['--size=1T', file])],
  ])('is not looked up in a passwd that is %s', (_, make) => {
    const { id } = start(
      SLEEP,
      () => {},
      (rootfs) => {
        rmSync(join(rootfs, 'etc/passwd'));
        make(join(rootfs, 'etc/passwd'));
      },
    );
    expect(ids(id, 'daemon')).toMatch(ONE_LINE);
    expect(ids(id, '1000')).toBe('1000:0');
  });
});

test('--cgroup leads to no cgroup outside of the container’s', () => {
  const { id } = start(SLEEP);
  const { cgroup } = stateOf(id);
  const outside = [
    '..',
    '../..',
    '/..',
    'a/../..',
    '/../../',
    './../x',
    `../${id}`,
    `/../${id}/..`,
  ];
  for (const path of outside) {
    const { status, stderr } = exec(id, ['true'], 'bun', ['--cgroup', path]);
    expect({ path, failed: status !== 0 }).toEqual({ path, failed: true });
    expect(stderr).toMatch(ONE_LINE);
  }
  expect(processesOf(id)).toHaveLength(1);
  expect(cgroup).toContain(id);
}, 120_000);

test('a container that hides its /proc, or fakes one, gets its exec as any other', () => {
  const canary = makeCanary();
  const { id } = start(SLEEP, (config) => {
    config.mounts?.push({ destination: '/proc', type: 'bind', source: canary, options: ['bind'] });
    if (config.linux) config.linux.maskedPaths = config.linux.readonlyPaths = [];
  });
  const before = picture(canary);
  const { status, stdout, stderr } = exec(id, ['cat', '/proc/file'], 'bun', ['--user', 'root']);
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'secret file\n', stderr: '' });
  expect(picture(canary)).toEqual(before);
});

describe('at the same time', () => {
  test.each([
    ['deletion', ['delete', '--force']],
    ['kill', ['kill']],
  ])(
    'execs and a %s: each ends, and nothing stays',
    async (_, command) => {
      for (const delay of [0, 10, 20, 40]) {
        const { id } = start(SLEEP);
        const execs = Array.from({ length: 3 }, () =>
          startScow(['exec', id, 'sleep', '1000'], { engine: 'bun' }),
        );
        await new Promise((resolve) => setTimeout(resolve, delay));
        const signal = command[0] === 'kill' ? ['KILL'] : [];
        expect(scow([...command, id, ...signal], { engine: 'bun' })).toMatchObject({ status: 0 });
        for (const { ended } of execs) {
          const { status, stderr } = await ended;
          expect(stderr).toMatch(status === 137 ? /^$/ : ONE_LINE);
        }
        expect(scow(['delete', '--force', id], { engine: 'bun' }).status).toBe(0);
      }
    },
    120_000,
  );

  test('a start and a deletion: the program runs, or was not there any more', async () => {
    for (let i = 0; i < 6; i++) {
      const id = newId();
      const bundle = bundleOf(running('sleep', '1000'));
      expect(scow(['create', '-b', bundle, id], { engine: 'bun' }).status).toBe(0);
      const starting = startScow(['start', id], { engine: 'bun' });
      const deletion = startScow(['delete', '--force', id], { engine: 'bun' });
      expect(await deletion.ended).toEqual({ status: 0, stderr: '' });
      const { status, stderr } = await starting.ended;
      expect(stderr).toMatch(status === 0 ? /^$/ : ONE_LINE);
    }
  }, 120_000);
});

test('a hundred execs leave nothing in the container', async () => {
  const { id } = start(SLEEP);
  const { pid } = stateOf(id);
  const open = () => spawnSync('ls', [`/proc/${pid}/fd`], { encoding: 'utf8' }).stdout;
  const before = open();
  for (let i = 0; i < 25; i++)
    await Promise.all(
      Array.from({ length: 4 }, async (_, j) => {
        const args = ['exec', ...(j === 0 ? ['--detach'] : []), id, 'true'];
        expect(await startScow(args, { engine: 'bun' }).ended).toEqual({ status: 0, stderr: '' });
      }),
    );
  await eventually(() => processesOf(id).length === 1);
  expect(open()).toBe(before);
}, 300_000);
