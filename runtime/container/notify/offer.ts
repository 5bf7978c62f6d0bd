import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RuntimeConfig } from '../../../schemas/runtime-config.ts';
import type { Facts } from '../../plan/facts.ts';
import { resolveInRoot } from '../facts.ts';
import { NOTIFY_DIRECTORY, NOTIFY_NAME } from './socket.ts';

/** Where the container finds the directory of its socket, as with runc. */
const INSIDE = '/run/notify';
const DIRECTORY_MODE = 0o755;

/** Makes the directory that the socket will be in. @param directory the container's state directory */
export function makeNotifyDirectory(directory: string): void {
  mkdirSync(join(directory, NOTIFY_DIRECTORY), DIRECTORY_MODE);
}

/**
 * Adds the directory of the socket to what a container is made of, and tells its program by
 * NOTIFY_SOCKET, sd_notify(3). The socket itself is made when the container is started.
 *
 * @param directory the container's state directory, which need not be there yet
 */
export function offerNotifySocket(
  { config, facts }: { readonly config: RuntimeConfig; readonly facts: Facts },
  directory: string,
): { config: RuntimeConfig; facts: Facts } {
  const source = join(directory, NOTIFY_DIRECTORY);
  const options = ['bind', 'nosuid', 'noexec', 'nodev', 'ro'];
  const mount = { destination: INSIDE, source, options };
  const env = [...(config.process?.env ?? []), `NOTIFY_SOCKET=${INSIDE}/${NOTIFY_NAME}`];
  return {
    config: {
      ...config,
      mounts: [...(config.mounts ?? []), mount],
      ...(config.process === undefined ? {} : { process: { ...config.process, env } }),
    },
    facts: {
      ...facts,
      sources: new Map([...facts.sources, [source, 'directory']]),
      destinations: new Map([...facts.destinations, [INSIDE, resolveInRoot(facts.rootfs, INSIDE)]]),
    },
  };
}
