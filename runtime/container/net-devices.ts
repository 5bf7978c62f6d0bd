import type { NetDevice, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { IFA, IFA_F, IFF_UP, IFLA, NLM_F, RT_SCOPE_UNIVERSE, RTM } from '../linux/constants.ts';
import {
  type Attribute,
  NetlinkError,
  type Reply,
  RouteSocket,
  text,
  word,
} from '../linux/netlink.ts';

/** `struct ifinfomsg`, rtnetlink(7) */
const LINK = { index: 4, flags: 8, change: 12, size: 16 } as const;
/** `struct ifaddrmsg`, rtnetlink(7) */
const ADDRESS = { family: 0, prefix: 1, flags: 2, scope: 3, index: 4, size: 8 } as const;

/** A device that is to be moved. */
interface Move {
  readonly host: string;
  readonly index: number;
  /** Its name in the container. */
  readonly name: string;
}

/**
 * Moves network devices of the host into the container's network namespace, with their
 * permanent addresses of global scope, and sets them up (config-linux.md, Network Devices).
 *
 * @param pid init's
 * @param inside a netlink socket of the container's network namespace
 * @throws Error in one line for a device that is not there or can't be moved, or whose name is taken
 */
export function moveNetDevices(config: RuntimeConfig, pid: number, inside: number): void {
  const container = new RouteSocket(inside);
  const host = RouteSocket.open();
  try {
    const taken = new Set(namesIn(container));
    // Nothing is moved before it is known that all are there and have a name.
    const moves = Object.entries(config.linux?.netDevices ?? {}).map(([name, device]) =>
      about(name, () => prepare(host, name, device, taken)),
    );
    for (const move of moves)
      about(move.host, () => {
        const addresses = addressesOf(host, move.index);
        leave(host, move, pid);
        arrive(container, move, addresses);
      });
  } finally {
    host.close();
  }
}

function namesIn(socket: RouteSocket): string[] {
  return socket.request(RTM.GETLINK, NLM_F.DUMP, new Uint8Array(LINK.size)).map(nameOf);
}

function nameOf({ attributes }: Reply): string {
  return new TextDecoder().decode(attributes.get(IFLA.IFNAME)).replace(/\0.*$/, '');
}

function prepare(host: RouteSocket, name: string, device: NetDevice, taken: Set<string>): Move {
  const index = indexOf(host, name);
  const wanted = freeName(device.name ?? name, taken);
  if (taken.has(wanted))
    throw new Error(
      `the container has a device ${wanted} already; choose another name, or one with %d for a number that is free`,
    );
  taken.add(wanted);
  return { host: name, index, name: wanted };
}

function indexOf(socket: RouteSocket, name: string): number {
  const fixed = new Uint8Array(LINK.size);
  const [found] = socket.request(RTM.GETLINK, 0, fixed, [[IFLA.IFNAME, text(name)]]);
  if (found === undefined) throw new Error('the kernel does not say which it is');
  return found.fixed.getInt32(LINK.index, true);
}

/** The kernel's own way of filling in `%d`: the least number that no other device has. */
function freeName(wanted: string, taken: ReadonlySet<string>): string {
  if (!wanted.includes('%d')) return wanted;
  let number = 0;
  while (taken.has(wanted.replace('%d', String(number)))) number++;
  return wanted.replace('%d', String(number));
}

/** The addresses that go with a device, as requests to make them again. */
function addressesOf(host: RouteSocket, index: number): { fixed: DataView; own: Attribute[] }[] {
  return host
    .request(RTM.GETADDR, NLM_F.DUMP, new Uint8Array(ADDRESS.size))
    .filter(({ fixed }) => fixed.getUint32(ADDRESS.index, true) === index)
    .filter(({ fixed }) => fixed.getUint8(ADDRESS.scope) === RT_SCOPE_UNIVERSE)
    .filter((reply) => flagsOf(reply) & IFA_F.PERMANENT)
    .map((reply) => {
      const kept = [IFA.LOCAL, IFA.ADDRESS, IFA.BROADCAST].flatMap((type): Attribute[] => {
        const value = reply.attributes.get(type);
        return value === undefined ? [] : [[type, value]];
      });
      const chosen = flagsOf(reply) & (IFA_F.NODAD | IFA_F.NOPREFIXROUTE);
      return { fixed: reply.fixed, own: [...kept, [IFA.FLAGS, word(chosen)]] };
    });
}

function flagsOf({ fixed, attributes }: Reply): number {
  const all = attributes.get(IFA.FLAGS);
  if (all === undefined) return fixed.getUint8(ADDRESS.flags);
  return new DataView(all.buffer, all.byteOffset).getUint32(0, true);
}

/** Moves and renames at once, so that no other device can take the name. The kernel sets it down. */
function leave(host: RouteSocket, { index, name }: Move, pid: number): void {
  host.request(RTM.NEWLINK, 0, link(index), [
    [IFLA.NET_NS_PID, word(pid)],
    [IFLA.IFNAME, text(name)],
  ]);
}

function arrive(
  container: RouteSocket,
  { name }: Move,
  addresses: ReturnType<typeof addressesOf>,
): void {
  // It may have another index here.
  const index = indexOf(container, name);
  for (const { fixed, own } of addresses) {
    const address = new Uint8Array(ADDRESS.size);
    address[ADDRESS.family] = fixed.getUint8(ADDRESS.family);
    address[ADDRESS.prefix] = fixed.getUint8(ADDRESS.prefix);
    new DataView(address.buffer).setUint32(ADDRESS.index, index, true);
    container.request(RTM.NEWADDR, NLM_F.CREATE | NLM_F.EXCL, address, own);
  }
  container.request(RTM.NEWLINK, 0, link(index, IFF_UP));
}

function link(index: number, flags = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(LINK.size));
  view.setInt32(LINK.index, index, true);
  view.setUint32(LINK.flags, flags, true);
  view.setUint32(LINK.change, flags, true);
  return new Uint8Array(view.buffer);
}

/** What an errno means here, where the kernel's own words leave the user alone. */
const HINTS: Readonly<Record<string, string>> = {
  ENODEV: 'there is none of this name in the network namespace of scow',
  EINVAL: 'it belongs to its namespace and cannot be moved, like lo',
  EPERM: 'it needs CAP_NET_ADMIN over the network namespace of scow',
};

function about<T>(name: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    const { message } = cause as Error;
    const hint = cause instanceof NetlinkError ? HINTS[cause.code] : undefined;
    const why = hint === undefined ? message : `${message}: ${hint}`;
    throw new Error(
      `cannot move the network device ${name} into the container: ${why}  [/linux/netDevices/${name}]`,
      { cause },
    );
  }
}
