import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { readConfig } from '../container/bundle.ts';
import { withGrantable } from '../container/capabilities.ts';
import type { CgroupManager } from '../container/cgroup.ts';
import type { CreateOptions } from '../container/create.ts';
import { withOwnMaps } from '../container/id-maps.ts';
import { activationSockets, callersDescriptors, tellOfSockets } from '../container/preserved.ts';
import { hasFilter } from '../container/seccomp/receiver.ts';
import { validateId } from '../container/store.ts';
import { join, resolve } from '../linux/path.ts';
import type { Flags, Input } from './parse.ts';
import { storeOf } from './root.ts';

/** The numbers above them are init's own; the usual limit of a process is 1024. */
const MOST_DESCRIPTORS = 900;

/**
 * What `create` and `run` were asked for.
 *
 * @throws Error for an invalid ID, number or config.json, before anything is made
 */
export async function createOptions({ global, flags, positionals }: Input): Promise<CreateOptions> {
  const [id = ''] = positionals;
  validateId(id);
  const bundle = resolve(flags.text('bundle') ?? '.');
  const sockets = activationSockets();
  const preserveFds = preservedCount(flags, sockets);
  const consoleSocket = flags.text('console-socket');
  const pidFile = flags.text('pid-file');
  const pidfdSocket = flags.text('pidfd-socket');
  const { config, text } = await readConfig(
    resolve(flags.text('config') ?? join(bundle, 'config.json')),
  );
  const store = storeOf(global);
  return {
    root: store.root,
    id,
    bundle,
    config: tellOfSockets(grantable(withOwnMaps(config)), sockets),
    configText: text,
    ...(consoleSocket === undefined ? {} : { consoleSocket: resolve(consoleSocket) }),
    ...(pidfdSocket === undefined ? {} : { pidfdSocket: resolve(pidfdSocket) }),
    ...(pidFile === undefined ? {} : { pidFile: resolve(pidFile) }),
    preserveFds,
    preserved: callersDescriptors(preserveFds),
    noPivot: flags.has('no-pivot'),
    noNewKeyring: flags.has('no-new-keyring'),
    notify: Boolean(process.env.NOTIFY_SOCKET),
    cgroupManager: cgroupManager(global),
    seccomp: hasFilter(config)
      ? (await import('../container/seccomp/filter.ts')).readFilter(config, store)
      : undefined,
  };
}

function grantable(config: RuntimeConfig): RuntimeConfig {
  if (config.process === undefined) return config;
  const inUserNamespace = config.linux?.namespaces?.some(({ type }) => type === 'user') ?? false;
  return { ...config, process: withGrantable(config.process, inUserNamespace) };
}

function cgroupManager(global: Flags): CgroupManager {
  if (global.has('systemd-cgroup')) return 'systemd';
  return (global.text('cgroup-manager') ?? 'cgroupfs') as CgroupManager;
}

/**
 * How many descriptors from 3 on are the program's.
 *
 * @param sockets how many come before those of --preserve-fds
 */
export function preservedCount(flags: Flags, sockets: number): number {
  const count = flags.count('preserve-fds') + sockets;
  if (count > MOST_DESCRIPTORS)
    throw new Error(
      `--preserve-fds and LISTEN_FDS: ${count} descriptors; give at most ${MOST_DESCRIPTORS}`,
    );
  return count;
}
