import { spawn } from 'node:child_process';
import { readlinkSync, statSync, writeFileSync } from 'node:fs';
import type { NamespaceType } from '../../../schemas/runtime-config.ts';
import {
  both,
  capable,
  type Edit,
  lines,
  linuxOf,
  portable,
  type Runtime,
  run,
  shell,
} from '../../helpers/container.ts';
import { bundleOf, cleanUp, ENGINES, newId, running, scow } from '../../helpers/scow.ts';

const children: ReturnType<typeof spawn>[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  cleanUp();
});

const FILES: Readonly<Record<NamespaceType, string>> = {
  cgroup: 'cgroup',
  ipc: 'ipc',
  mount: 'mnt',
  network: 'net',
  pid: 'pid',
  time: 'time',
  user: 'user',
  uts: 'uts',
};
const TYPES = Object.keys(FILES) as NamespaceType[];
const SHOW = 'for n in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$n; done';

/** Namespaces by type, as `readlink` shows those of a process: `net:[4026531840]`. */
type Shown = Readonly<Record<NamespaceType, string>>;

function shownAt(links: readonly string[]): Shown {
  return Object.fromEntries(TYPES.map((type, i) => [type, links[i]])) as Shown;
}

function namespacesOf(pid: number | string): Shown {
  return shownAt(TYPES.map((type) => readlinkSync(`/proc/${pid}/ns/${FILES[type]}`)));
}

/** What the namespaces are of a container that gets these; a path joins one. */
function shown(
  runtime: Runtime,
  namespaces: Partial<Record<NamespaceType, string | true>>,
  edit: Edit = () => {},
): Shown {
  return shownAt(lines(runtime, SHOW, both(getting(namespaces), edit)));
}

function getting(namespaces: Partial<Record<NamespaceType, string | true>>): Edit {
  return (config) => {
    linuxOf(config).namespaces = Object.entries(namespaces).map(([type, path]) => ({
      type: type as NamespaceType,
      ...(path === true ? {} : { path }),
    }));
    if (namespaces.uts !== true) delete config.hostname;
    if (namespaces.network === undefined) {
      // A sysfs of one's own belongs to a network namespace of one's own.
      config.mounts =
        config.mounts?.filter(({ type }) => type !== 'sysfs' && type !== 'cgroup') ?? [];
    }
  };
}

/** Every ID of the container is one that nobody on the host has. */
const mapped: Edit = (config) => {
  linuxOf(config).uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  linuxOf(config).gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
};

/** A process in new namespaces, to be joined. */
async function other(...flags: readonly string[]): Promise<number> {
  const child = spawn('unshare', [...flags, 'sh', '-c', 'echo ready; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  return child.pid ?? 0;
}

const OWN = { mount: true } as const;
const differing = (a: Shown, b: Shown) => TYPES.filter((type) => a[type] !== b[type]);

describe.each(ENGINES)('namespaces under %s', (engine) => {
  const host = namespacesOf('self');

  it.each(TYPES.filter((type) => type !== 'mount'))('a new one of type %s', (type) => {
    // A procfs and an mqueue of a user namespace belong to others that it owns.
    const wanted: Partial<Record<NamespaceType, true>> =
      type === 'user' ? { ...OWN, pid: true, ipc: true, user: true } : { ...OWN, [type]: true };
    const found = shown(engine, wanted, type === 'user' ? mapped : () => {});
    expect(differing(found, host)).toEqual(TYPES.filter((t) => t in wanted));
  });

  it('all at once', () => {
    const all = Object.fromEntries(TYPES.map((type) => [type, true]));
    expect(differing(shown(engine, all, mapped), host)).toEqual(TYPES);
  });

  it('none but the mount namespace', () => {
    expect(differing(shown(engine, OWN), host)).toEqual(['mount']);
    expect(differing(shown('runc', OWN), host)).toEqual(['mount']);
  });

  it('of another container are joined, as the containers of a pod do', () => {
    const id = newId();
    const infra = bundleOf(both(portable, shell('exec sleep 1000')));
    expect(scow(['run', '--detach', '--bundle', infra, id], { engine })).toMatchObject({
      status: 0,
    });
    const pid = JSON.parse(scow(['state', id], { engine }).stdout).pid as number;
    const theirs = namespacesOf(pid);
    const ns = (type: NamespaceType) => `/proc/${pid}/ns/${FILES[type]}`;
    const pod = { ipc: ns('ipc'), network: ns('network'), uts: ns('uts') };
    const found = shown(engine, { ...OWN, ...pod, pid: true, cgroup: true });
    expect(differing(found, theirs)).toEqual(['cgroup', 'mount', 'pid']);
    const shared = shown(engine, { ...OWN, ...pod, pid: ns('pid') });
    expect(differing(shared, theirs)).toEqual(['cgroup', 'mount']);
  });

  it('of PIDs is joined: the program is a child there, and ends with its own status', async () => {
    const pid = await other('--pid', '--fork', '--kill-child', '--mount-proc');
    const init = statSync(`/proc/${pid}/ns/pid_for_children`).ino;
    const path = `/proc/${pid}/ns/pid_for_children`;
    const edit = both(
      portable,
      getting({ ...OWN, pid: path }),
      shell('readlink /proc/self/ns/pid; echo $$; exit 7'),
    );
    const { status, stdout, stderr } = scow(['run', '--bundle', bundleOf(edit), newId()], {
      engine,
    });
    expect(stderr).toBe('');
    expect(status).toBe(7);
    const [link, number] = stdout.split('\n');
    expect(link).toBe(`pid:[${init}]`);
    expect(Number(number)).toBeGreaterThan(1);
  });

  it('of a mount is joined, and the root filesystem is found in it', async () => {
    const pid = await other('--mount', '--propagation=private');
    const theirs = namespacesOf(pid);
    const found = shown(engine, { mount: `/proc/${pid}/ns/mnt`, pid: true });
    expect(found.mount).toBe(theirs.mount);
  });

  it('of users is joined, with others new', async () => {
    const pid = await other('--user');
    for (const kind of ['uid', 'gid']) writeFileSync(`/proc/${pid}/${kind}_map`, '0 100000 65536');
    const path = `/proc/${pid}/ns/user`;
    const edit = both(getting({ ...OWN, user: path, pid: true, uts: true, ipc: true }));
    const found = shownAt(lines(engine, SHOW, edit));
    const theirs = namespacesOf(pid);
    expect(found.user).toBe(theirs.user);
    expect(found.mount).not.toBe(theirs.mount);
    expect(lines(engine, 'cat /proc/self/uid_map; id -u', edit)[0]).toMatch(
      /^\s*0\s+100000\s+65536$/,
    );
  });

  it('of users is joined with its own maps only', async () => {
    const pid = await other('--user');
    for (const kind of ['uid', 'gid']) writeFileSync(`/proc/${pid}/${kind}_map`, '0 100000 65536');
    const joined = getting({
      ...OWN,
      user: `/proc/${pid}/ns/user`,
      pid: true,
      uts: true,
      ipc: true,
    });
    expect(lines(engine, 'id -u', both(joined, mapped))).toEqual(['0']);
    const others: Edit = (config) => {
      linuxOf(config).gidMappings = [{ containerID: 0, hostID: 100000, size: 65535 }];
    };
    const edit = both(portable, joined, mapped, others, shell('id -u'));
    expect(run(engine, edit)).toMatchObject({
      status: 1,
      stderr:
        'scow: the user namespace that is joined has another gid map: leave the mappings out, for only a new namespace takes some  [/linux/gidMappings]\n',
    });
  });

  it('of users is refused without maps, to root', () => {
    const edit = both(portable, getting({ ...OWN, user: true }), shell('id -u'));
    expect(run(engine, edit)).toMatchObject({
      status: 1,
      stderr:
        'scow: the user namespace has no users: map IDs of the host to those of the container  [/linux/uidMappings]\n',
    });
  });

  it('of a network that belongs to the host is joined from a new user namespace', async () => {
    const pid = await other('--net');
    const path = `/proc/${pid}/ns/net`;
    const edit = both(mapped, (config) => {
      config.mounts =
        config.mounts?.filter(({ type }) => type !== 'sysfs' && type !== 'cgroup') ?? [];
    });
    const found = shown(engine, { ...OWN, user: true, pid: true, ipc: true, network: path }, edit);
    expect(found.network).toBe(namespacesOf(pid).network);
    expect(found.user).not.toBe(host.user);
  });

  it('of a time is joined', async () => {
    const pid = await other('--time', '--monotonic=1000000', '--fork', '--kill-child');
    const path = `/proc/${pid}/ns/time_for_children`;
    const found = lines(
      engine,
      'readlink /proc/self/ns/time; cut -d. -f1 /proc/uptime',
      getting({ ...OWN, time: path }),
    );
    expect(found[0]).toBe(readlinkSync(path));
  });

  it('of a cgroup is joined', async () => {
    const pid = await other('--cgroup');
    const found = shown(engine, { ...OWN, cgroup: `/proc/${pid}/ns/cgroup` });
    expect(found.cgroup).toBe(namespacesOf(pid).cgroup);
  });

  it('that are new: their network has lo up, their cgroup is the root', () => {
    const script =
      'ip -o address show lo; ping -c1 -W1 127.0.0.1 | grep received; grep ^0 /proc/self/cgroup';
    const edit = both(capable('CAP_NET_RAW'));
    const found = lines(engine, script, edit).join('\n');
    expect(found).toContain('127.0.0.1/8');
    expect(found).toContain('1 packets received');
    expect(found).toContain('0::/');
    expect(found).not.toContain('0::/.');
  });

  it('that are new: the program is PID 1, alone', () => {
    expect(lines(engine, 'echo $$; cd /proc; echo [0-9]*; :')).toEqual(['1', '1']);
  });

  it('of the host: hostname and domain name are the container’s own', () => {
    const edit: Edit = (config) => {
      config.hostname = 'the-host';
      config.domainname = 'the.domain';
    };
    const script = 'hostname; cat /proc/sys/kernel/domainname';
    expect(lines(engine, script, edit)).toEqual(['the-host', 'the.domain']);
  });

  it('take kernel parameters with dots or slashes', () => {
    const edit: Edit = (config) => {
      linuxOf(config).sysctl = {
        'net.ipv4.ip_forward': '1',
        'net/ipv4/conf/lo/rp_filter': '2',
        'kernel.msgmax': '12345',
        'fs.mqueue.msg_max': '20',
      };
    };
    const script = `cd /proc/sys; cat net/ipv4/ip_forward net/ipv4/conf/lo/rp_filter \\
      kernel/msgmax fs/mqueue/msg_max`;
    expect(lines(engine, script, edit)).toEqual(['1', '2', '12345', '20']);
    expect(lines('runc', script, edit)).toEqual(['1', '2', '12345', '20']);
  });

  it('take the limits of a user namespace as kernel parameters', () => {
    const edit = both(mapped, (config) => {
      linuxOf(config).namespaces?.push({ type: 'user' });
      linuxOf(config).sysctl = { 'user.max_net_namespaces': '7' };
    });
    expect(lines(engine, 'cat /proc/sys/user/max_net_namespaces', edit)).toEqual(['7']);
  });
});

test('that the kernel allows no more namespaces is told, with where it is set', () => {
  const script = 'echo 0 >/proc/sys/user/max_net_namespaces && exec "$0" "$@"';
  const through = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script];
  const { status, stderr } = run('bun', running('true'), { through });
  expect([status, stderr]).toEqual([
    1,
    expect.stringMatching(/\(ENOSPC\): .*\/proc\/sys\/user allow {2}\[\/linux\/namespaces\]\n$/),
  ]);
});

describe.each(ENGINES)('the session keyring under %s', (engine) => {
  /** Whether a container sees a keyring that has its own ID in its name; others come and go. */
  const hasItsOwn = (flags: string[]) => {
    const edit: Edit = (config) => {
      linuxOf(config).maskedPaths = [];
    };
    const numberOf = (id: string) => Number(id.split('-').at(-1));
    const drawn = numberOf(newId());
    const names = lines(engine, 'cat /proc/keys', edit, { flags })
      .map((line) => new RegExp(`_ses\\.(scow-test-${process.pid}-\\d+)`).exec(line)?.[1])
      .filter((name) => name !== undefined);
    return names.some((name) => numberOf(name) > drawn);
  };

  it('is the container’s own, unless --no-new-keyring is given', () => {
    expect(hasItsOwn([])).toBe(true);
    expect(hasItsOwn(['--no-new-keyring'])).toBe(false);
  });
});
