import type { Namespace, NamespaceType, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { CLONE, IFF_UP, O, PR } from '../linux/constants.ts';
import type { Facts } from './facts.ts';
import type { DescriptorRequest } from './plan.ts';
import { call, flags, inherited, result, type Step, struct } from './step.ts';

export const NAMESPACE_FLAGS: Readonly<Record<NamespaceType, keyof typeof CLONE>> = {
  user: 'NEWUSER',
  pid: 'NEWPID',
  mount: 'NEWNS',
  ipc: 'NEWIPC',
  uts: 'NEWUTS',
  network: 'NEWNET',
  cgroup: 'NEWCGROUP',
  time: 'NEWTIME',
};

/** The mount namespace is joined last: every path before it is the host's. */
const JOIN_ORDER: readonly NamespaceType[] = [
  'ipc',
  'uts',
  'network',
  'pid',
  'cgroup',
  'time',
  'mount',
];

const BIRTHPLACES: readonly NamespaceType[] = ['pid', 'mount', 'ipc', 'uts', 'network'];

/** A namespace of config.json, with its JSON pointer. */
interface Pointed {
  readonly namespace: Namespace;
  readonly pointer: string;
}

/** The namespaces that a container gets (config-linux.md, Namespaces). */
export class Namespaces {
  private readonly all: readonly Pointed[];
  private readonly byType: ReadonlyMap<NamespaceType, Pointed>;
  private readonly facts: Facts;
  private readonly hasOffsets: boolean;
  private readonly hasMaps: boolean;

  constructor(config: RuntimeConfig, facts: Facts) {
    this.all = (config.linux?.namespaces ?? []).map((namespace, i) => ({
      namespace: namespace.path ? namespace : { type: namespace.type },
      pointer: `/linux/namespaces/${i}`,
    }));
    this.byType = new Map(this.all.map((one) => [one.namespace.type, one]));
    this.facts = facts;
    const { monotonic, boottime } = config.linux?.timeOffsets ?? {};
    const { uidMappings = [], gidMappings = [] } = config.linux ?? {};
    this.hasMaps = uidMappings.length + gidMappings.length > 0;
    this.hasOffsets = monotonic !== undefined || boottime !== undefined;
  }

  /** A new namespace of this type is made. */
  makes(type: NamespaceType): boolean {
    return this.find(type)?.namespace.path === undefined && this.has(type);
  }

  /** The container does not share this namespace with scow. */
  has(type: NamespaceType): boolean {
    return this.find(type) !== undefined;
  }

  /**
   * Flags of the namespaces that init is born in. What clone3 makes is charged to who calls it: a
   * network namespace alone would take a hundred KiB of the container's memory limit. In a user
   * namespace init makes them itself, for they are to belong to that; the cgroup namespace, because
   * its root is where its maker is; and the PID namespace where another one needs a fork anyway.
   */
  get cloneFlags(): number {
    if (this.has('user')) return 0;
    return BIRTHPLACES.filter((type) => this.makes(type))
      .filter((type) => type !== 'pid' || !this.makes('time'))
      .reduce((all, type) => all | CLONE[NAMESPACE_FLAGS[type]], 0);
  }

  /** Descriptors of the namespaces that are joined. */
  descriptors(): DescriptorRequest[] {
    return this.all.flatMap(({ namespace, pointer }) =>
      namespace.path === undefined
        ? []
        : [
            {
              name: `${namespace.type} namespace`,
              source: { kind: 'open', path: namespace.path, flags: O.RDONLY },
              pointer: `${pointer}/path`,
            },
          ],
    );
  }

  /**
   * Brings init into its namespaces. A namespace of the host can be joined only with the
   * host's privileges, so a privileged init joins before it changes its user namespace; an
   * ordinary user has the privilege for any join only inside it.
   */
  steps(): Step[] {
    const join = JOIN_ORDER.flatMap((type) => this.join(type));
    const enter = this.enterUser();
    const undumpable = call('prctl', [flags('PR', PR, 'SET_DUMPABLE'), 0, 0, 0, 0], {
      pointer: '',
      why: 'hide init from the processes of the namespaces that it joins',
    });
    return this.facts.privileged
      ? [undumpable, ...join, ...enter, ...this.unshare(), ...this.fork()]
      : [...enter, undumpable, ...join, ...this.unshare(), ...this.fork()];
  }

  private find(type: NamespaceType): Pointed | undefined {
    return this.byType.get(type);
  }

  private join(type: NamespaceType): Step[] {
    const found = this.find(type);
    if (found?.namespace.path === undefined) return [];
    return [
      call(
        'setns',
        [inherited(`${type} namespace`), flags('CLONE', CLONE, NAMESPACE_FLAGS[type])],
        {
          pointer: `${found.pointer}/path`,
          why: `join the ${type} namespace ${found.namespace.path}`,
        },
      ),
    ];
  }

  private enterUser(): Step[] {
    const found = this.find('user');
    if (found === undefined) return this.offsetClocks();
    const { pointer } = found;
    const enter: Step[] =
      found.namespace.path !== undefined
        ? [...this.join('user'), ...this.compareMaps()]
        : [
            call('unshare', [flags('CLONE', CLONE, 'NEWUSER')], {
              pointer,
              why: 'make a user namespace',
            }),
            {
              kind: 'report',
              point: 'id-maps',
              answer: {},
              pointer: '/linux/uidMappings',
              why: 'have the ID maps written',
            },
          ];
    return [
      ...enter,
      ...this.offsetClocks(),
      call('setresgid', [0, 0, 0], { pointer, why: 'become root of the user namespace' }),
      call('setresuid', [0, 0, 0], { pointer, why: 'become root of the user namespace' }),
    ];
  }

  /** The maps of a namespace that is joined are its own; others in the configuration are wrong. */
  private compareMaps(): Step[] {
    if (!this.hasMaps) return [];
    return [
      {
        kind: 'report',
        point: 'joined-user',
        answer: {},
        pointer: '/linux/uidMappings',
        why: 'have the ID maps compared',
      },
    ];
  }

  /**
   * Makes the time namespace while scow, which may be an ordinary user, can still open init's
   * files in /proc: a change of user takes that away. Nobody may be in the namespace yet.
   */
  private offsetClocks(): Step[] {
    const found = this.find('time');
    if (found === undefined || !this.makes('time') || !this.hasOffsets) return [];
    return [
      call('unshare', [flags('CLONE', CLONE, 'NEWTIME')], {
        pointer: found.pointer,
        why: 'make a time namespace',
      }),
      {
        kind: 'report',
        point: 'time-offsets',
        answer: {},
        pointer: '/linux/timeOffsets',
        why: 'have the clocks set',
      },
    ];
  }

  private unshare(): Step[] {
    const born = this.cloneFlags;
    const made = this.hasOffsets ? ['user', 'time'] : ['user'];
    const names = this.all
      .filter(({ namespace }) => namespace.path === undefined && !made.includes(namespace.type))
      .map(({ namespace }) => NAMESPACE_FLAGS[namespace.type])
      .filter((name) => (CLONE[name] & born) === 0);
    if (names.length === 0) return [];
    return [
      call('unshare', [flags('CLONE', CLONE, ...names)], {
        pointer: '/linux/namespaces',
        why: 'make the new namespaces',
      }),
    ];
  }

  /** Only children enter a PID namespace or, before Linux 6.1, a new time namespace. */
  private fork(): Step[] {
    const found = this.find('pid') ?? (this.makes('time') ? this.find('time') : undefined);
    if (found === undefined || (this.cloneFlags & CLONE.NEWPID) !== 0) return [];
    const { namespace, pointer } = found;
    const name = namespace.type === 'pid' ? 'PID' : 'time';
    return [{ kind: 'fork', pointer, why: `start a process in the ${name} namespace` }];
  }
}

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const SIOCSIFFLAGS = 0x8914;

/** What a new network, UTS or time namespace is filled with. */
export function namespaceContent(config: RuntimeConfig, namespaces: Namespaces): Step[] {
  const steps: Step[] = [];
  if (namespaces.makes('network')) steps.push(...loopback());
  for (const [field, name] of [
    ['hostname', 'sethostname'],
    ['domainname', 'setdomainname'],
  ] as const) {
    const value = config[field];
    if (value)
      steps.push(
        call(name, [value, Buffer.byteLength(value)], {
          pointer: `/${field}`,
          why: `set the ${field}`,
        }),
      );
  }
  return steps;
}

function loopback(): Step[] {
  const origin = { pointer: '/linux/namespaces', why: 'bring the loopback interface up' };
  // struct ifreq, netdevice(7): 16 bytes of name, then the flags.
  const request = struct(
    'ifreq',
    ['name', 8, 0x6f6c],
    ['name', 8, 0],
    ['flags', 2, IFF_UP],
    ['', 2, 0],
    ['', 4, 0],
    ['', 8, 0],
    ['', 8, 0],
  );
  return [
    call('socket', [AF_INET, SOCK_DGRAM_CLOEXEC, 0], { ...origin, result: 'loopback' }),
    call('ioctl', [result('loopback'), SIOCSIFFLAGS, request], origin),
    call('close', [result('loopback')], origin),
  ];
}
