import { resolve } from 'node:path';
import { readConfig } from '../container/bundle.ts';
import type { CreateOptions } from '../container/create.ts';
import { activationSockets, callersDescriptors, tellOfSockets } from '../container/preserved.ts';
import { validateId } from '../container/store.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

/** The numbers above them are init's own; the usual limit of a process is 1024. */
const MOST_DESCRIPTORS = 900;

/**
 * What `create` and `run` were asked for.
 *
 * @throws Error for an invalid ID, number or config.json, before anything is made
 */
export function createOptions({ global, flags, positionals }: Input): CreateOptions {
  const [id = ''] = positionals;
  validateId(id);
  if (global.has('systemd-cgroup'))
    throw new Error('--systemd-cgroup is not supported yet: leave it out to use cgroupfs');
  const bundle = resolve(flags.text('bundle') ?? '.');
  const sockets = activationSockets();
  const preserveFds = flags.count('preserve-fds') + sockets;
  if (preserveFds > MOST_DESCRIPTORS)
    throw new Error(
      `--preserve-fds and LISTEN_FDS: ${preserveFds} descriptors; give at most ${MOST_DESCRIPTORS}`,
    );
  const consoleSocket = flags.text('console-socket');
  const pidFile = flags.text('pid-file');
  const { config, text } = readConfig(bundle);
  return {
    root: storeOf(global).root,
    id,
    bundle,
    config: tellOfSockets(config, sockets),
    configText: text,
    ...(consoleSocket === undefined ? {} : { consoleSocket: resolve(consoleSocket) }),
    ...(pidFile === undefined ? {} : { pidFile: resolve(pidFile) }),
    preserveFds,
    preserved: callersDescriptors(preserveFds),
    noPivot: flags.has('no-pivot'),
    noNewKeyring: flags.has('no-new-keyring'),
  };
}
