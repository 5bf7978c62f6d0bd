/** What each kind of hook is called with, and when (config.md, POSIX-platform Hooks). */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { directoryOf, scowAs } from '../../helpers/ordinary-user.ts';
import {
  cleanUp,
  ENGINES,
  newId,
  runc,
  running,
  scow,
  scowWords,
  testDirectory,
} from '../../helpers/scow.ts';
import { HOOKS, hooked, notes, OF_THE_HOST, order, seen, stateOf, witness } from './support.ts';

afterEach(cleanUp);

const WAITING = running('sleep', '1000');
const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];

/** All kinds of hooks, two of each. */
function everyHook() {
  return Object.fromEntries(
    HOOKS.map((name) => [name, [witness(name), witness(name, {}, `${name}2`)]]),
  );
}

describe.each(ENGINES)('hooks (%s)', (engine) => {
  const call = (args: string[], env?: NodeJS.ProcessEnv) => {
    const { status, stderr } = scow(args, { engine, ...(env === undefined ? {} : { env }) });
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
  };

  test('of all kinds run in order, each with the state and in the namespaces that it is to have', () => {
    const id = newId();
    const bundle = hooked(everyHook(), (config) => {
      WAITING(config);
      config.annotations = { 'org.example.key': 'a "value"' };
    });
    call(['create', '-b', bundle, id]);
    const pid = Number(JSON.parse(scow(['state', id], { engine }).stdout).pid);
    const own = NAMESPACES.map((name) => readlinkSync(`/proc/self/ns/${name}`));
    const theirs = NAMESPACES.map((name) => readlinkSync(`/proc/${pid}/ns/${name}`));
    const twice = (names: readonly string[]) => names.flatMap((name) => [name, `${name}2`]);
    expect(order()).toEqual(twice(HOOKS.slice(0, 3)));
    call(['start', id]);
    expect(order()).toEqual(twice(HOOKS.slice(0, 5)));
    call(['kill', id, 'KILL']);
    while (JSON.parse(scow(['state', id], { engine }).stdout).status !== 'stopped');
    expect(order()).toEqual(twice(HOOKS.slice(0, 5)));
    call(['delete', id]);
    expect(order()).toEqual(twice(HOOKS));

    const common = {
      ociVersion: '1.3.0',
      id,
      bundle,
      annotations: { 'org.example.key': 'a "value"' },
    };
    for (const name of twice(['prestart', 'createRuntime']))
      expect(stateOf(name)).toEqual({ ...common, status: 'creating', pid });
    for (const name of twice(['createContainer']))
      expect(stateOf(name)).toEqual({ ...common, status: 'creating', pid: 1 });
    for (const name of twice(['startContainer']))
      expect(stateOf(name)).toEqual({ ...common, status: 'created', pid: 1 });
    for (const name of twice(['poststart']))
      expect(stateOf(name)).toEqual({ ...common, status: 'running', pid });
    for (const name of twice(['poststop']))
      expect(stateOf(name)).toEqual({ ...common, status: 'stopped' });

    for (const name of HOOKS) {
      const { lines } = seen(name);
      const namespaces = lines.filter((line) => /^\w+:\[/.test(line));
      const inside = name === 'createContainer' || name === 'startContainer';
      // The default configuration shares the user namespace, and has a new cgroup namespace.
      expect({ name, namespaces }).toEqual({ name, namespaces: inside ? theirs : own });
    }
  });

  test('have nothing of scow, and nothing of its engine', () => {
    const id = newId();
    const bundle = hooked(everyHook());
    const script = 'ulimit -Sn 321; umask 027; trap "" USR1 HUP; "$0" "$@"; exit $?';
    const args = [...scowWords(engine), 'run', '-b', bundle, id];
    const { status, stderr } = spawnSync('bash', ['-c', script, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe', 'inherit'],
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const name of HOOKS) {
      const { lines, get } = seen(name);
      const found = Object.fromEntries(
        ['files', 'umask', 'SigIgn:', 'SigBlk:', 'Uid:', 'Seccomp:', 'NoNewPrivs:'].map((key) => [
          key,
          get(key),
        ]),
      );
      expect({ name, ...found }).toEqual({
        name,
        files: '321',
        umask: '0027',
        'SigIgn:': '0000000000000000',
        'SigBlk:': '0000000000000000',
        'Uid:': '0\t0\t0\t0',
        'Seccomp:': '0',
        'NoNewPrivs:': '0',
      });
      // The fourth is what ls(1) reads the directory with.
      expect({ name, fds: lines.filter((line) => line.startsWith('fd ')) }).toEqual({
        name,
        fds: ['fd 0', 'fd 1', 'fd 2', 'fd 3'],
      });
    }
  });

  test('of the host have its privileges, whatever the process has', () => {
    const bundle = hooked(everyHook(), ({ process }) => {
      if (process === undefined) return;
      process.user = { uid: 1000, gid: 1000 };
      process.capabilities = { bounding: [] };
      process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 64, hard: 64 }];
      process.noNewPrivileges = true;
    });
    call(['run', '-b', bundle, newId()]);
    const own = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
    for (const name of OF_THE_HOST)
      expect({ name, caps: seen(name).get('CapEff:') }).toEqual({ name, caps: own });
  });

  test('of the container are its root, with what it is bounded by and without its filter', () => {
    const bundle = hooked({ startContainer: [witness('startContainer')] }, (config) => {
      if (config.process === undefined || config.linux === undefined) return;
      config.process.user = { uid: 1000, gid: 1000, additionalGids: [7] };
      config.process.capabilities = {
        bounding: ['CAP_KILL', 'CAP_CHOWN'],
        permitted: ['CAP_KILL'],
        effective: ['CAP_KILL'],
      };
      config.process.noNewPrivileges = true;
      config.linux.seccomp = { defaultAction: 'SCMP_ACT_ALLOW' };
      config.process.args = ['sh', '-c', 'grep -E "^(CapEff|Uid|Seccomp):" /proc/self/status'];
    });
    const { status, stdout } = scow(['run', '-b', bundle, newId()], { engine });
    expect({ status, stdout: stdout.split(/\s+/) }).toEqual({
      status: 0,
      stdout: expect.arrayContaining(['1000', '0000000000000000', '2']),
    });
    const { get } = seen('startContainer');
    expect(['Uid:', 'CapEff:', 'CapBnd:', 'Seccomp:', '0::', 'cwd'].map(get)).toEqual([
      '0\t0\t0\t0',
      '0000000000000021',
      '0000000000000021',
      '0',
      '/',
      '/',
    ]);
  });

  test('of the container without an environment have that of its process', () => {
    const hook = { path: '/bin/env', args: ['env'] };
    const output = join(notes(), 'output');
    for (const [env, expected] of [
      [undefined, ['HOME=/root', 'PATH=/bin', 'WISH=of the process']],
      [['A=1'], ['A=1']],
      [[], []],
    ] as const) {
      const more = env === undefined ? {} : { env };
      const bundle = hooked({ startContainer: [{ ...hook, ...more }] }, (config) => {
        config.annotations = { 'run.oci.hooks.stdout': output };
        if (config.process) config.process.env = ['PATH=/bin', 'WISH=of the process'];
      });
      writeFileSync(output, '');
      call(['run', '-b', bundle, newId()]);
      expect(readFileSync(output, 'utf8').split('\n').filter(Boolean).sort()).toEqual(expected);
    }
  });

  test.each([
    ['a user namespace', (types: string[]) => [...types, 'user'], 1],
    ["the host's PID namespace", (types: string[]) => types.filter((type) => type !== 'pid'), 0],
  ] as const)('run in a container with %s', (_, change, pid) => {
    const hooks = everyHook();
    const bundle = hooked(hooks, (config) => {
      if (config.linux === undefined) return;
      const types = change((config.linux.namespaces ?? []).map(({ type }) => type));
      config.linux.namespaces = types.map((type) => ({ type: type as 'user' }));
      if (!types.includes('user')) return;
      config.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
      config.linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
    });
    writeFileSync(join(notes(), 'order'), '');
    spawnSync('chmod', ['-R', 'a+rwX', notes(), join(bundle, '..')]);
    call(['run', '-b', bundle, newId()]);
    expect(order()).toHaveLength(2 * HOOKS.length);
    const { pid: seenPid } = stateOf('createContainer');
    expect(seenPid).toBe(pid === 0 ? stateOf('prestart').pid : pid);
    expect(stateOf('startContainer').pid).toBe(seenPid);
    const mount = (name: string) => seen(name).lines.find((line) => line.startsWith('mnt:'));
    expect(mount('startContainer')).toBe(mount('createContainer'));
    expect(mount('startContainer')).not.toBe(mount('prestart'));
  });

  test('of an ordinary user run with what that user may do, or as root of the container', () => {
    const user = { uid: 61234, gid: 61235 };
    const bundle = hooked(everyHook(), (config) => {
      if (config.linux === undefined) return;
      const types = ['user', 'mount', 'pid', 'ipc', 'uts'] as const;
      config.linux.namespaces = types.map((type) => ({ type }));
      config.linux.uidMappings = [{ containerID: 0, hostID: user.uid, size: 1 }];
      config.linux.gidMappings = [{ containerID: 0, hostID: user.gid, size: 1 }];
      delete config.linux.resources;
      const unmountable = ['/sys', '/sys/fs/cgroup', '/dev/pts'];
      config.mounts = (config.mounts ?? []).filter(
        ({ destination }) => !unmountable.includes(destination),
      );
    });
    const [, name = ''] = bundle.split(`${testDirectory()}/`);
    for (const each of [name, 'notes']) directoryOf(user, each);
    const env = { PATH: '/usr/bin:/bin', XDG_RUNTIME_DIR: directoryOf(user, 'runtime') };
    const options = { engine, cwd: bundle, env };
    expect(scowAs(user, ['run', newId()], options)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(order()).toHaveLength(2 * HOOKS.length);
    const ids = HOOKS.map((name) => seen(name).get('Uid:')?.split('\t')[0]);
    expect(ids).toEqual(['61234', '61234', '0', '0', '61234', '61234']);
    const pids = ['createContainer', 'startContainer'].map((name) => stateOf(name).pid);
    expect(pids).toEqual([1, 1]);
  });

  test('are where runc would run them', () => {
    const hooks = Object.fromEntries(OF_THE_HOST.map((name) => [name, [witness(name)]]));
    const bundle = hooked(hooks);
    const runtimes = {
      runc: () => runc(['run', '-b', bundle, newId()], { cwd: '/' }),
      scow: () => scow(['run', '-b', bundle, newId()], { engine, cwd: '/' }),
    };
    const places = Object.values(runtimes).map((run) => {
      expect(run()).toMatchObject({ status: 0, stderr: '' });
      return OF_THE_HOST.map((name) => [name, seen(name).get('cwd'), seen(name).get('argv')]);
    });
    expect(places[1]).toEqual(places[0]);
    expect(places[1]?.[2]?.[1]).toBe(join(bundle, 'rootfs'));
  });

  test('get their arguments and their environment as they are, and no others', () => {
    const output = join(notes(), 'output');
    const shown = (env: readonly string[] | undefined) => {
      writeFileSync(output, '');
      const hook = { path: '/usr/bin/env', ...(env === undefined ? {} : { env }) };
      const bundle = hooked(
        Object.fromEntries(OF_THE_HOST.map((name) => [name, [hook]])),
        (config) => {
          config.annotations = { 'run.oci.hooks.stdout': output };
        },
      );
      call(['run', '-b', bundle, newId()], { PATH: process.env.PATH, WISH: 'of the caller' });
      return readFileSync(output, 'utf8').split('\n').sort();
    };
    const times = OF_THE_HOST.length;
    expect(shown([])).toEqual(['']);
    expect(shown(['B=2', 'A=1'])).toEqual(
      ['', ...Array(times).fill('A=1'), ...Array(times).fill('B=2')].sort(),
    );
    // As with runc and crun, who calls the runtime decides for hooks that say nothing.
    expect(shown(undefined)).toEqual(
      [
        '',
        ...Array(times).fill(`PATH=${process.env.PATH}`),
        ...Array(times).fill('WISH=of the caller'),
      ].sort(),
    );
  });

  test('print to the files of the annotations', () => {
    const bundle = hooked(
      Object.fromEntries(
        OF_THE_HOST.map((name) => [
          name,
          [{ path: '/bin/sh', args: ['sh', '-c', `echo out ${name}; echo err ${name} >&2`] }],
        ]),
      ),
      (config) => {
        config.annotations = {
          'run.oci.hooks.stdout': 'out',
          'run.oci.hooks.stderr': join(notes(), 'err'),
        };
      },
    );
    writeFileSync(join(notes(), 'err'), 'before\n');
    call(['run', '-b', bundle, newId()]);
    const lines = (word: string) => OF_THE_HOST.map((name) => `${word} ${name}\n`).join('');
    expect(readFileSync(join(bundle, 'out'), 'utf8')).toBe(lines('out'));
    expect(readFileSync(join(notes(), 'err'), 'utf8')).toBe(`before\n${lines('err')}`);
  });

  test('of create find the mounts of the container where the bundle has its root filesystem', () => {
    const script = `cat $0/rootfs/proc/1/comm > $1/comm; mount -t tmpfs hook $0/rootfs/tmp && echo made > $0/rootfs/tmp/file`;
    const id = newId();
    const bundle = hooked({}, (config) => {
      config.root = { path: 'rootfs', readonly: false };
      running(
        'sh',
        '-c',
        'cat /tmp/file > /notes/file; grep -c " /tmp " /proc/mounts > /notes/count',
      )(config);
    });
    const file = join(bundle, 'config.json');
    const config = JSON.parse(readFileSync(file, 'utf8'));
    const args = ['sh', '-c', script, bundle, notes()];
    config.hooks = { createContainer: [{ path: '/bin/sh', args, env: ['PATH=/bin:/sbin'] }] };
    writeFileSync(file, JSON.stringify(config));
    for (const flags of [[], ['--no-pivot']]) {
      call(['run', ...flags, '-b', bundle, id]);
      expect(readFileSync(join(notes(), 'comm'), 'utf8')).toMatch(/^scow/);
      expect(readFileSync(join(notes(), 'file'), 'utf8')).toBe('made\n');
      expect(readFileSync(join(notes(), 'count'), 'utf8')).toBe('1\n');
      expect(existsSync(join(bundle, 'rootfs/tmp/file'))).toBe(false);
    }
  });
});
