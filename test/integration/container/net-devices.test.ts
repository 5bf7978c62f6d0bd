import {
  both,
  type Edit,
  linuxOf,
  portable,
  type Runtime,
  run,
  shell,
} from '../../helpers/container.ts';
import { cleanUp, ENGINES } from '../../helpers/scow.ts';

afterEach(cleanUp);

type Devices = NonNullable<ReturnType<typeof linuxOf>['netDevices']>;

const moving =
  (netDevices: Devices): Edit =>
  (config) => {
    linuxOf(config).netDevices = netDevices;
  };

/** On a host of its own: a network namespace with devices, and a runtime in it. */
function onHost(runtime: Runtime, setUp: string, edit: Edit, script: string) {
  const host = `set -e; ${setUp}
    status=0; "$@" || status=$?
    echo host: $(ip -o link show | cut -d' ' -f2); exit $status`;
  return run(runtime, both(portable, edit, shell(script)), {
    through: ['unshare', '--net', 'sh', '-c', host, 'sh'],
  });
}

const PAIRS = `
  ip link add veth-a type veth peer name veth-b
  ip link add veth-c type veth peer name veth-d`;

const SET_UP = `
  ip link add veth-a address 02:00:00:00:00:07 mtu 1400 type veth peer name veth-b
  ip address add 192.0.2.5/24 broadcast 192.0.2.255 dev veth-a
  ip address add 192.0.2.6/24 dev veth-a
  ip address add 198.51.100.1 peer 198.51.100.2/32 dev veth-a
  ip address add 169.254.7.7/16 scope link dev veth-a
  ip address add 2001:db8::5/64 nodad dev veth-a
  ip address add 203.0.113.1/24 valid_lft 1000 preferred_lft 1000 dev veth-a
  ip link set veth-b up`;

describe.each(ENGINES)('network devices under %s', (engine) => {
  it('move into the container: renamed, up, with their permanent global addresses', () => {
    const devices = { 'veth-a': { name: 'eth0' } };
    const { status, stdout, stderr } = onHost(
      engine,
      SET_UP,
      moving(devices),
      'ip address show dev eth0 | sed "s/^ *//"; cat /sys/class/net/eth0/mtu',
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const shown = stdout.split('\n');
    expect(shown[0]).toMatch(/^\d+: eth0@\w+: <BROADCAST,MULTICAST,UP,.*> mtu 1400 /);
    expect(shown.filter((line) => /^(inet|link)/.test(line))).toEqual([
      'link/ether 02:00:00:00:00:07 brd ff:ff:ff:ff:ff:ff',
      'inet 192.0.2.5/24 brd 192.0.2.255 scope global eth0',
      'inet 198.51.100.1 peer 198.51.100.2/32 scope global eth0',
      'inet 192.0.2.6/24 scope global secondary eth0',
      'inet6 2001:db8::5/64 scope global flags 02 ',
      expect.stringMatching(/^inet6 fe80:.* scope link/),
    ]);
    // The other end goes when the kernel comes to clearing the container's namespace away.
    expect(shown.at(-3)).toBe('1400');
    expect(shown.at(-2)).toMatch(/^host: lo:( veth-b@\w+:)?$/);
  });

  it('keep their names, or get numbers that are free, in a user namespace too', () => {
    const edit = both(
      moving({ 'veth-a': { name: 'eth%d' }, 'veth-b': {}, 'veth-d': { name: 'eth%d' } }),
      (config) => {
        const linux = linuxOf(config);
        linux.namespaces = [...(linux.namespaces ?? []), { type: 'user' }];
        linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
        linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
      },
    );
    const { stdout, stderr } = onHost(engine, PAIRS, edit, 'ls /sys/class/net');
    expect(stderr).toBe('');
    expect(stdout.split('\n').slice(0, 4)).toEqual(['eth0', 'eth1', 'lo', 'veth-b']);
  });

  it.each<[Devices, string]>([
    [
      { 'veth-a': { name: 'one' }, none: {} },
      'none into the container: no such device (ENODEV): there is none of this name in the network namespace of scow  [/linux/netDevices/none]',
    ],
    [
      { 'veth-a': { name: 'one' }, 'veth-b': { name: 'lo' } },
      'veth-b into the container: the container has a device lo already; choose another name, or one with %d for a number that is free  [/linux/netDevices/veth-b]',
    ],
    [
      { lo: { name: 'other' } },
      'lo into the container: invalid argument (EINVAL): it belongs to its namespace and cannot be moved, like lo  [/linux/netDevices/lo]',
    ],
  ])('%j are refused, and none is moved', (devices, line) => {
    const { status, stdout, stderr } = onHost(engine, PAIRS, moving(devices), 'true');
    expect(stderr).toBe(`scow: cannot move the network device ${line}\n`);
    expect(status).toBe(1);
    expect(stdout).toBe('host: lo: veth-b@veth-a: veth-a@veth-b: veth-d@veth-c: veth-c@veth-d:\n');
  });

  it('do not move into the namespace that they are in', () => {
    const edit = both(moving({ 'veth-a': { name: 'one' } }), (config) => {
      const linux = linuxOf(config);
      linux.namespaces = (linux.namespaces ?? []).filter(({ type }) => type !== 'network');
      linux.namespaces.push({ type: 'network', path: '/proc/self/ns/net' });
    });
    const { stderr } = onHost(engine, PAIRS, edit, 'true');
    expect(stderr).toMatch(
      /^scow: the network namespace \/proc\/self\/ns\/net is the host's own.* {2}\[\/linux\/netDevices\]\n$/,
    );
  });
});
