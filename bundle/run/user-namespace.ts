import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { CLONE, PR, SIG } from '../../runtime/linux/constants.ts';
import { sleepInNewUserNamespace } from '../../runtime/linux/elsewhere.ts';
import { reason } from '../../runtime/linux/reason.ts';
import { type Call, trySyscall } from '../../runtime/linux/syscall.ts';
import type { IdMapping } from '../../schemas/runtime-config.ts';
import { programCommand } from '../existing/runtime.ts';
import { INSIDE } from '../rootless/caller.ts';
import { type MappedIds, mappedIds } from '../rootless/mapped-ids.ts';
import { runForeground } from './foreground.ts';

/**
 * Runs a command line of scow-bundle once more, as the root of a user namespace with the caller's
 * subordinate IDs and of a mount namespace: there files can have owners, and layers be mounted.
 *
 * @param alone whether to do it also where no user can be mapped but the caller
 * @param before is called before it is run
 * @returns its exit status; undefined where it was not run
 * @throws Error in one line where the kernel gives ordinary users no user namespace
 */
export async function enterUserNamespace(
  args: readonly string[],
  alone: boolean,
  before: () => void,
): Promise<number | undefined> {
  const ids = mappedIds();
  if (ids.onlyRoot !== undefined && !alone) return undefined;
  const made = makeUserNamespace(ids, alone);
  if (made === undefined) return undefined;
  try {
    before();
    process.env[INSIDE] = made.onlyRoot ?? '';
    const status = runForeground(
      [...programCommand('scow-bundle'), ...args],
      entering(made.namespace),
    );
    // The child's change of IDs made the memory that it shared undumpable: prctl(2).
    trySyscall('prctl', PR.SET_DUMPABLE, 1, 0, 0, 0);
    return await status;
  } finally {
    closeSync(made.namespace);
  }
}

function entering(namespace: number): Call[] {
  return [
    { name: 'setns', args: [namespace, CLONE.NEWUSER], stopOnError: true },
    { name: 'setresgid', args: [0, 0, 0], stopOnError: true },
    { name: 'setresuid', args: [0, 0, 0], stopOnError: true },
    { name: 'unshare', args: [CLONE.NEWNS], stopOnError: true },
    { name: 'prctl', args: [PR.SET_PDEATHSIG, SIG.KILL, 0, 0, 0], stopOnError: true },
  ];
}

/** A user namespace with no process in it, by a descriptor. */
interface Made {
  readonly namespace: number;
  /** Why only root is mapped. */
  readonly onlyRoot: string | undefined;
}

/** @param alone whether one with the caller alone is of use, too; undefined is returned otherwise */
function makeUserNamespace(ids: MappedIds, alone: boolean): Made | undefined {
  const made = tryUserNamespace(ids);
  if (typeof made === 'number') return { namespace: made, onlyRoot: ids.onlyRoot };
  if (!alone) return undefined;
  const onlyRoot = ids.onlyRoot ?? made.why;
  const own = (maps: readonly IdMapping[]) => maps.slice(0, 1);
  const smaller = tryUserNamespace({ uids: own(ids.uids), gids: own(ids.gids), onlyRoot });
  if (typeof smaller === 'number') return { namespace: smaller, onlyRoot };
  throw new Error(`an ordinary user needs a user namespace for this: ${smaller.why}`);
}

function tryUserNamespace({ uids, gids, onlyRoot }: MappedIds): number | { why: string } {
  try {
    const { pid, end } = sleepInNewUserNamespace();
    try {
      if (onlyRoot !== undefined) {
        writeFileSync(`/proc/${pid}/setgroups`, 'deny');
        writeFileSync(`/proc/${pid}/uid_map`, numbers(uids).join(' '));
        writeFileSync(`/proc/${pid}/gid_map`, numbers(gids).join(' '));
      } else {
        callHelper('newuidmap', pid, uids);
        callHelper('newgidmap', pid, gids);
      }
      return openSync(`/proc/${pid}/ns/user`, constants.O_RDONLY);
    } finally {
      end();
    }
  } catch (error) {
    return { why: reason(error) };
  }
}

function callHelper(helper: string, pid: number, maps: readonly IdMapping[]): void {
  try {
    execFileSync(helper, [String(pid), ...numbers(maps)], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
  } catch (cause) {
    const { stderr } = cause as { stderr?: string };
    throw new Error(stderr?.trim().split('\n')[0] || reason(cause), { cause });
  }
}

function numbers(maps: readonly IdMapping[]): string[] {
  return maps.flatMap(({ containerID, hostID, size }) => [containerID, hostID, size]).map(String);
}
