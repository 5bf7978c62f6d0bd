import { closeSync } from 'node:fs';
import { AT, CLONE, O } from '../../runtime/linux/constants.ts';
import { spawnCalls } from '../../runtime/linux/elsewhere.ts';
import { errnoCode } from '../../runtime/linux/errno.ts';
import { type Call, SyscallError, syscall } from '../../runtime/linux/syscall.ts';
import { atOnceCall, layerByLayerCalls, type Overlay } from './overlay.ts';

const EINVAL = errnoCode('EINVAL');

/** An overlay, and where it is to be. */
export interface OwnMount {
  readonly overlay: Overlay;
  /** An existing directory. */
  readonly target: string;
}

/**
 * Makes a child in a user namespace of its own, where the caller is root, and a mount namespace with an
 * overlay mounted: what an ordinary user may do.
 *
 * @param last what the child calls at the end
 * @returns its PID. Who calls waits for it
 * @throws SyscallError for the call that failed
 */
export function spawnWithOverlay({ overlay, target }: OwnMount, last: readonly Call[]): number {
  const namespaces = CLONE.NEWUSER + CLONE.NEWNS;
  const held: number[] = [];
  const attempt = (mount: readonly Call[]) => {
    const calls = [...MAPPING, ...mount, ...last];
    const { pid, results } = spawnCalls(namespaces, calls);
    const result = results.at(-1) ?? 0;
    if (result >= 0) return pid;
    syscall('wait4', pid, 0, 0, 0);
    const { name, args } = calls[results.length - 1] as Call;
    throw new SyscallError(name, args, -result);
  };
  try {
    return attempt(layerByLayerCalls(overlay, target, held, MAPPING.length));
  } catch (error) {
    // See `mountLayerByLayer`.
    if (!(error instanceof SyscallError) || error.syscall !== 'fsconfig') throw error;
    if (error.errno !== EINVAL) throw error;
    return attempt([atOnceCall(overlay, target, held)]);
  } finally {
    for (const fd of held) closeSync(fd);
  }
}

/** Makes the caller root in the child's user namespace: user_namespaces(7). */
const MAPPING: readonly Call[] = [
  ['setgroups', 'deny'],
  ['uid_map', `0 ${process.geteuid?.()} 1`],
  ['gid_map', `0 ${process.getegid?.()} 1`],
].flatMap(([name, text = ''], i): Call[] => [
  {
    name: 'openat',
    args: [AT.FDCWD, `/proc/self/${name}`, O.WRONLY | O.CLOEXEC, 0],
    stopOnError: true,
  },
  {
    name: 'write',
    args: [{ resultOf: 2 * i }, Buffer.from(text), text.length],
    stopOnError: true,
  },
]);
