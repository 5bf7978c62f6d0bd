/**
 * Containers of an ordinary user: nobody's privileges but a user namespace.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  bundleOf,
  cleanUp,
  type EditableConfig,
  ENGINES,
  type Engine,
  eventually,
  newId,
  rootOf,
  testDirectory,
} from '../../helpers/scow.ts';
import { commandLine, processOf } from './support.ts';

const USER = `scow-test-${process.pid}`;
const ROOT = { uid: 0, gid: 0 };
let uid = 0;
let gid = 0;
let range: { uid: number; gid: number } = ROOT;

/** The user with IDs for containers of their own, as useradd gives them. */
beforeAll(() => {
  expect(spawnSync('useradd', ['--no-create-home', '--user-group', USER]).status).toBe(0);
  const id = (flag: string) => Number(spawnSync('id', [flag, USER], { encoding: 'utf8' }).stdout);
  uid = id('-u');
  gid = id('-g');
  range = { uid: firstSubordinate('/etc/subuid'), gid: firstSubordinate('/etc/subgid') };
});
afterAll(() => void spawnSync('userdel', [USER]));
afterEach(cleanUp);

function firstSubordinate(file: string): number {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${USER}:`));
  return Number(line?.split(':')[1]);
}

/** Runs scow as the user, who sees the project even where it is in the home of another. */
function rootless(engine: Engine, args: readonly string[], cwd: string, outer: string[] = []) {
  const home = testDirectory();
  const project = join(home, 'project');
  for (const directory of [project, rootOf('scow')]) mkdirSync(directory, { recursive: true });
  spawnSync('chown', [`${uid}:${gid}`, rootOf('scow')]);
  chmodSync(home, 0o711);
  const command = commandLine(engine).map((word) => word.replace(process.cwd(), project));
  const script = 'mount --bind "$0" "$1" && shift && exec "$@"';
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
  const through = ['--mount', '--propagation=slave', 'sh', '-c', script, process.cwd(), project];
  // Files, for a pipe would stay open in a detached container, and be waited for.
  const files = ['stdout', 'stderr'].map((name) => join(home, `rootless-${name}`));
  const [out = 0, err = 0] = files.map((file) => openSync(file, 'w'));
  const { status } = spawnSync('unshare', [...through, ...user, ...outer, ...command, ...args], {
    cwd,
    stdio: ['ignore', out, err],
  });
  for (const fd of [out, err]) closeSync(fd);
  const [stdout = '', stderr = ''] = files.map((file) => readFileSync(file, 'utf8'));
  return { status, stdout, stderr };
}

/** A bundle of the user, with what `scow spec --rootless` writes. */
function rootlessBundle(engine: Engine, edit: (config: EditableConfig) => void): string {
  const bundle = bundleOf();
  spawnSync('chown', ['-hR', `${uid}:${gid}`, bundle]);
  spawnSync('rm', [join(bundle, 'config.json')]);
  expect(rootless(engine, ['spec', '--rootless'], bundle)).toMatchObject({ stderr: '', status: 0 });
  const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as EditableConfig;
  processOf(config).terminal = false;
  edit(config);
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
  return bundle;
}

const script = (text: string) => (config: EditableConfig) => {
  processOf(config).args = ['sh', '-c', text];
};

describe.each(ENGINES)('a container of an ordinary user, under %s', (engine) => {
  it('runs what spec --rootless describes', () => {
    const bundle = rootlessBundle(
      engine,
      script(
        'id -u; id -g; cat /proc/self/uid_map /proc/self/setgroups; hostname; echo $$; exit 3',
      ),
    );
    const { status, stdout, stderr } = rootless(engine, ['run', newId()], bundle);
    expect(stderr).toBe('');
    expect(status).toBe(3);
    const words = stdout.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '));
    expect(words).toEqual(['0', '0', `0 ${uid} 1`, 'deny', 'scow', '1', '']);
  });

  it('has clocks of its own', () => {
    const bundle = rootlessBundle(engine, (config) => {
      script('cat /proc/self/timens_offsets')(config);
      config.linux?.namespaces?.push({ type: 'time' });
      if (config.linux) config.linux.timeOffsets = { boottime: { secs: 7_000_000 } };
    });
    const { stdout, stderr } = rootless(engine, ['run', newId()], bundle);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^monotonic +0 +0\nboottime +7000000 +0\n$/);
  });

  it('has devices, its own mounts, and the sysfs of the host', () => {
    const bundle = rootlessBundle(
      engine,
      script(`
        echo lost > /dev/null && head -c2 /dev/zero | wc -c
        stat -c '%n %u' /dev/shm /dev/pts /dev/mqueue /proc/self/
        ls -d /sys/class
        touch /new /sys/new /proc/sys/new 2>/dev/null || echo read-only`),
    );
    const { stdout, stderr } = rootless(engine, ['run', newId()], bundle);
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toEqual([
      '2',
      ...['/dev/shm 0', '/dev/pts 0', '/dev/mqueue 0', '/proc/self/ 0'],
      ...['/sys/class', 'read-only', ''],
    ]);
  });

  it('has the IDs that newuidmap and newgidmap allow', () => {
    const bundle = rootlessBundle(engine, (config) => {
      script('cat /proc/self/uid_map /proc/self/gid_map; id; stat -c "%u %g" /dev/pts')(config);
      const linux = config.linux ?? {};
      linux.uidMappings = [
        { containerID: 0, hostID: uid, size: 1 },
        { containerID: 1, hostID: range.uid, size: 1000 },
      ];
      linux.gidMappings = [
        { containerID: 0, hostID: gid, size: 1 },
        { containerID: 1, hostID: range.gid, size: 1000 },
      ];
      processOf(config).user = { uid: 33, gid: 44, additionalGids: [55] };
    });
    const { stdout, stderr } = rootless(engine, ['run', newId()], bundle);
    expect(stderr).toBe('');
    const words = stdout.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '));
    expect(words).toEqual([
      ...[`0 ${uid} 1`, `1 ${range.uid} 1000`, `0 ${gid} 1`, `1 ${range.gid} 1000`],
      ...['uid=33 gid=44 groups=55', '0 0', ''],
    ]);
  });

  it('is told when IDs are not theirs', () => {
    const bundle = rootlessBundle(engine, (config) => {
      if (config.linux) config.linux.uidMappings = [{ containerID: 0, hostID: 1, size: 10 }];
    });
    const { status, stderr } = rootless(engine, ['run', newId()], bundle);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^scow: cannot write the uid map: .*\[\/linux\/uidMappings\]\n$/);
  });

  it('goes through its lifecycle', async () => {
    const bundle = rootlessBundle(
      engine,
      script('trap "exit 5" TERM; while :; do sleep 0.01; done'),
    );
    const id = newId();
    const state = () => JSON.parse(rootless(engine, ['state', id], bundle).stdout);
    const succeed = (...args: string[]) => {
      const { status, stderr } = rootless(engine, args, bundle);
      expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
    };
    succeed('run', '--detach', id);
    expect(state().status).toBe('running');
    expect(rootless(engine, ['list'], bundle).stdout).toMatch(new RegExp(`${id}.* ${USER}`));
    succeed('kill', id, 'KILL');
    await eventually(() => state().status === 'stopped');
    succeed('delete', id);
    succeed('create', id);
    expect(state().status).toBe('created');
    succeed('delete', '--force', id);
    expect(rootless(engine, ['list', '-q'], bundle).stdout).toBe('');
  });

  it('runs as root of a user namespace that its engine made', () => {
    const bundle = rootlessBundle(engine, (config) => {
      script('cat /proc/self/uid_map; id -u; stat -c %F /dev/null; touch /tmp/no || echo ro')(
        config,
      );
      const linux = config.linux ?? {};
      linux.namespaces = linux.namespaces?.filter(({ type }) => type !== 'user') ?? [];
      linux.namespaces.push({ type: 'network' });
      delete linux.uidMappings;
      delete linux.gidMappings;
      const options = ['rbind', 'ro', 'nosuid', 'rprivate'];
      config.mounts?.push({ destination: '/tmp', type: 'bind', source: 'rootfs/etc', options });
    });
    const outer = ['unshare', '--user', '--map-root-user', '--map-auto', '--mount'];
    const { status, stdout } = rootless(engine, ['run', newId()], bundle, outer);
    const words = stdout.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '));
    const map = [`0 ${uid} 1`, expect.stringMatching(new RegExp(`^1 ${range.uid} `))];
    expect(words).toEqual([...map, '0', 'character special file', 'ro', '']);
    expect(status).toBe(0);
  });
});
