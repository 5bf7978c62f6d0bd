/**
 * Containers of an ordinary user: nobody's privileges but a user namespace.
 */
import { readlinkSync, statSync } from 'node:fs';
import { processOf } from '../../helpers/container.ts';
import { MappedUser } from '../../helpers/mapped-user.ts';
import { cleanUp, type EditableConfig, ENGINES, eventually, newId } from '../../helpers/scow.ts';

const user = new MappedUser();

beforeAll(() => user.add());
afterAll(() => user.remove());
afterEach(cleanUp);

const script = (text: string) => (config: EditableConfig) => {
  processOf(config).args = ['sh', '-c', text];
};

describe.each(ENGINES)('a container of an ordinary user, under %s', (engine) => {
  it('runs what spec --rootless describes', () => {
    const bundle = user.bundle(
      engine,
      script(
        'id -u; id -g; cat /proc/self/uid_map /proc/self/setgroups; hostname; echo $$; exit 3',
      ),
    );
    const { status, stdout, stderr } = user.scow(engine, ['run', newId()], bundle);
    expect(stderr).toBe('');
    expect(status).toBe(3);
    const words = stdout.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '));
    expect(words).toEqual(['0', '0', `0 ${user.uid} 1`, 'deny', 'scow', '1', '']);
  });

  it('has clocks of its own', () => {
    const bundle = user.bundle(engine, (config) => {
      script('cat /proc/self/timens_offsets')(config);
      config.linux?.namespaces?.push({ type: 'time' });
      if (config.linux) config.linux.timeOffsets = { boottime: { secs: 7_000_000 } };
    });
    const { stdout, stderr } = user.scow(engine, ['run', newId()], bundle);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^monotonic +0 +0\nboottime +7000000 +0\n$/);
  });

  it('maps the own IDs of the user where no maps are given, as crun spec --rootless has it', () => {
    const bundle = user.bundle(engine, (config) => {
      script('cat /proc/self/uid_map')(config);
      delete config.linux?.uidMappings;
      delete config.linux?.gidMappings;
    });
    const { stdout, stderr } = user.scow(engine, ['run', newId()], bundle);
    expect(stderr).toBe('');
    expect(stdout).toMatch(new RegExp(`^ *0 +${user.uid} +1\\n$`));
  });

  it('joins the namespaces of another, as those of a pod do', () => {
    const id = newId();
    const infra = user.bundle(engine, (config) => {
      script('exec sleep 1000')(config);
      user.mapped(config);
      config.linux?.namespaces?.push({ type: 'network' }, { type: 'time' });
      if (config.linux) config.linux.timeOffsets = { monotonic: { secs: 1_000_000 } };
    });
    expect(user.scow(engine, ['run', '--detach', id], infra)).toMatchObject({ stderr: '' });
    const { pid } = JSON.parse(user.scow(engine, ['state', id], infra).stdout);
    const files = {
      ipc: 'ipc',
      network: 'net',
      pid: 'pid',
      time: 'time',
      user: 'user',
      uts: 'uts',
    } as const;
    const show = `for n in ${Object.values(files).join(' ')}; do readlink /proc/self/ns/$n; done`;
    const theirs = Object.values(files).map((file) => readlinkSync(`/proc/${pid}/ns/${file}`));
    const joining = (types: readonly (keyof typeof files)[]) => (config: EditableConfig) => {
      script(show)(config);
      delete config.hostname;
      const linux = config.linux ?? {};
      delete linux.uidMappings;
      delete linux.gidMappings;
      linux.namespaces = (linux.namespaces ?? []).filter(
        ({ type }) => !(types as readonly string[]).includes(type),
      );
      for (const type of types)
        linux.namespaces.push({ type, path: `/proc/${pid}/ns/${files[type]}` });
    };
    const shared = (types: readonly (keyof typeof files)[]) => {
      const bundle = user.bundle(engine, joining(types));
      const { stdout, stderr } = user.scow(engine, ['run', newId()], bundle);
      expect(stderr).toBe('');
      const found = stdout.trimEnd().split('\n');
      return Object.keys(files).filter((_, i) => found[i] === theirs[i]);
    };
    const pod = ['ipc', 'network', 'user', 'uts'] as const;
    expect(shared(pod)).toEqual(pod);
    const all = ['ipc', 'network', 'pid', 'time', 'user', 'uts'] as const;
    expect(shared(all)).toEqual(all);
    expect(shared(['user'])).toEqual(['user']);
    expect(user.scow(engine, ['delete', '--force', id], infra)).toMatchObject({ status: 0 });
  });

  it('has devices, its own mounts, and the sysfs of the host', () => {
    const bundle = user.bundle(
      engine,
      script(`
        echo lost > /dev/null && head -c2 /dev/zero | wc -c
        stat -c '%n %u' /dev/shm /dev/pts /dev/mqueue /proc/self/
        ls -d /sys/class
        touch /new /sys/new /proc/sys/new 2>/dev/null || echo read-only`),
    );
    const { stdout, stderr } = user.scow(engine, ['run', newId()], bundle);
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toEqual([
      '2',
      ...['/dev/shm 0', '/dev/pts 0', '/dev/mqueue 0', '/proc/self/ 0'],
      ...['/sys/class', 'read-only', ''],
    ]);
  });

  it('is told that its processes will get away, with neither a cgroup nor a PID namespace', () => {
    const bundle = user.bundle(engine, (config) => {
      script('echo ran')(config);
      const { linux } = config;
      if (linux) linux.namespaces = linux.namespaces?.filter(({ type }) => type !== 'pid') ?? [];
      config.mounts = config.mounts?.filter(({ type }) => type !== 'proc') ?? [];
    });
    const { stdout, stderr } = user.scow(engine, ['run', newId()], bundle);
    expect(stdout).toBe('ran\n');
    expect(stderr).toMatch(
      /^scow: warning: .* neither a cgroup nor a PID namespace: .* \[\/linux\/namespaces\]\n$/,
    );
  });

  it('has the IDs that newuidmap and newgidmap allow', () => {
    const bundle = user.bundle(engine, (config) => {
      script('cat /proc/self/uid_map /proc/self/gid_map; id; stat -c "%u %g" /dev/pts')(config);
      user.mapped(config);
      processOf(config).user = { uid: 33, gid: 44, additionalGids: [55] };
    });
    const { stdout, stderr } = user.scow(engine, ['run', newId()], bundle);
    expect(stderr).toBe('');
    const words = stdout.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '));
    expect(words).toEqual([
      ...[
        `0 ${user.uid} 1`,
        `1 ${user.range.uid} 1000`,
        `0 ${user.gid} 1`,
        `1 ${user.range.gid} 1000`,
      ],
      ...['uid=33 gid=44 groups=55', '0 0', ''],
    ]);
  });

  it('is told when IDs are not theirs', () => {
    const bundle = user.bundle(engine, (config) => {
      if (config.linux) config.linux.uidMappings = [{ containerID: 0, hostID: 1, size: 10 }];
    });
    const { status, stderr } = user.scow(engine, ['run', newId()], bundle);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^scow: cannot write the uid map: .*\[\/linux\/uidMappings\]\n$/);
  });

  it('goes through its lifecycle', async () => {
    const bundle = user.bundle(engine, script('trap "exit 5" TERM; while :; do sleep 0.01; done'));
    const id = newId();
    const state = () => JSON.parse(user.scow(engine, ['state', id], bundle).stdout);
    const succeed = (...args: string[]) => {
      const { status, stderr } = user.scow(engine, args, bundle);
      expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
    };
    succeed('run', '--detach', id);
    expect(state().status).toBe('running');
    expect(user.scow(engine, ['list'], bundle).stdout).toMatch(new RegExp(`${id}.* ${user.name}`));
    succeed('kill', id, 'KILL');
    await eventually(() => state().status === 'stopped');
    succeed('delete', id);
    succeed('create', id);
    expect(state().status).toBe('created');
    succeed('delete', '--force', id);
    expect(user.scow(engine, ['list', '-q'], bundle).stdout).toBe('');
  });

  it('runs as root of a user namespace that its engine made', () => {
    const bundle = user.bundle(engine, (config) => {
      script('cat /proc/self/uid_map; id -u; stat -c %F /dev/null; touch /tmp/no || echo ro')(
        config,
      );
      ofTheCaller(config);
      const options = ['rbind', 'ro', 'nosuid', 'rprivate'];
      config.mounts?.push({ destination: '/tmp', type: 'bind', source: 'rootfs/etc', options });
    });
    const outer = ['unshare', '--user', '--map-root-user', '--map-auto', '--mount'];
    const { status, stdout } = user.scow(engine, ['run', newId()], bundle, outer);
    const words = stdout.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '));
    const map = [`0 ${user.uid} 1`, expect.stringMatching(new RegExp(`^1 ${user.range.uid} `))];
    expect(words).toEqual([...map, '0', 'character special file', 'ro', '']);
    expect(status).toBe(0);
  });

  it.each([
    ['by a user namespace of its own', []],
    ['in one that is there', ['unshare', '--user', '--map-root-user', '--map-auto', '--mount']],
  ])('sees the whole of the host, not itself, in a bind mount of /, %s', (_, outer) => {
    const bundle = user.bundle(engine, (config) => {
      script('stat -c %i /tmp/usr; touch /tmp/new 2>/dev/null || echo ro')(config);
      if (outer.length > 0) ofTheCaller(config);
      const options = ['rbind', 'ro', 'rslave'];
      config.mounts?.push({ destination: '/tmp', type: 'bind', source: '/', options });
    });
    const { stdout, stderr } = user.scow(engine, ['run', newId()], bundle, outer);
    expect({ stdout, stderr }).toEqual({ stdout: `${statSync('/usr').ino}\nro\n`, stderr: '' });
  });
});

/** The user namespace is the caller's: one of its own is not made. */
function ofTheCaller(config: EditableConfig): void {
  const linux = config.linux ?? {};
  linux.namespaces = linux.namespaces?.filter(({ type }) => type !== 'user') ?? [];
  linux.namespaces.push({ type: 'network' });
  delete linux.uidMappings;
  delete linux.gidMappings;
}
