import type { NamespaceType, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { pointerTo } from '../../schemas/violation.ts';
import { statSync } from '../linux/files.ts';

/** Their names below /proc/PID/ns, namespaces(7). */
const FILES = { network: 'net', ipc: 'ipc', uts: 'uts', user: 'user' } as const;

/**
 * Refuses a configuration that would change the host: it names a namespace to join for what it
 * sets there, but that is the namespace scow itself is in.
 *
 * @throws Error in one line
 */
export function checkHostNamespaces(config: RuntimeConfig): void {
  for (const [type, pointer] of changes(config)) {
    const path = config.linux?.namespaces?.find((namespace) => namespace.type === type)?.path;
    if (path && isOwn(path, `/proc/self/ns/${FILES[type]}`))
      throw new Error(
        `the ${type} namespace ${path} is the host's own, whose settings no container may change  [${pointer}]`,
      );
  }
}

/** What is set in namespaces, by JSON pointers. */
function changes({ hostname, domainname, linux }: RuntimeConfig): [keyof typeof FILES, string][] {
  const names = Object.entries({ hostname, domainname }).filter(([, value]) => value);
  const devices = Object.keys(linux?.netDevices ?? {});
  return [
    ...(devices.length === 0
      ? []
      : ([['network', '/linux/netDevices']] as [keyof typeof FILES, string][])),
    ...names.map(([name]): [keyof typeof FILES, string] => ['uts', `/${name}`]),
    ...Object.keys(linux?.sysctl ?? {}).map((name): [keyof typeof FILES, string] => [
      typeOf(name),
      pointerTo('linux', 'sysctl', name),
    ]),
  ];
}

/** The namespace of a parameter that is known to have one (schemas/rules/linux.ts). */
function typeOf(name: string): Extract<NamespaceType, keyof typeof FILES> {
  if (name.startsWith('net')) return 'network';
  if (name.startsWith('user')) return 'user';
  return /^kernel.domainname$/.test(name) ? 'uts' : 'ipc';
}

/** One that cannot be looked at cannot be opened either, which is told then. */
function isOwn(path: string, own: string): boolean {
  const here = statSync(own);
  try {
    const there = statSync(path);
    return there.identity === here.identity;
  } catch {
    return false;
  }
}
