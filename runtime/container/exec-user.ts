import type { User } from '../../schemas/runtime-config.ts';
import { closeSync } from '../linux/files.ts';
import { reason } from '../linux/reason.ts';
import { isId, supplementaryGids } from '../linux/user-database.ts';
import { openRootOf } from './join.ts';
import { readAccounts, readGroups } from './user-database.ts';

/**
 * Turns `USER[:GROUP]` into the user of a process. Numbers are taken as they are, and leave the
 * groups alone; a name brings its group and those that list it, or only the group that is given.
 *
 * @param base the user of the container's own process
 * @param pid the container's init, in whose files names are looked up
 * @throws Error in one line for what is neither a number nor a name that the container knows, and
 *   when its files can't be read
 */
export function findUser(text: string, base: User, pid: number): User {
  const [user = '', group, ...rest] = text.split(':');
  if (rest.length > 0) throw wrong(text, 'give UID[:GID], or names for either');
  for (const part of [user, group ?? '0'])
    if (!isId(part) && !isName(part))
      throw wrong(
        text,
        `${JSON.stringify(part)} is neither the number of a user or group nor a name`,
      );
  if (isId(user) && (group === undefined || isId(group)))
    return { ...base, uid: Number(user), gid: group === undefined ? base.gid : Number(group) };
  return byName(text, { user, group }, base, pid);
}

/** What begins like a number but goes on otherwise is a slip, or a trap: never a name. */
function isName(text: string): boolean {
  return /^[^\d\s:+/-][^\s:/]*$/.test(text);
}

function byName(
  text: string,
  { user, group }: { user: string; group: string | undefined },
  base: User,
  pid: number,
): User {
  const { accounts, groups } = inRootOf(pid, text, (root) => ({
    accounts: isId(user) ? [] : readAccounts(root),
    groups: readGroups(root),
  }));
  const account = isId(user)
    ? { uid: Number(user), gid: base.gid }
    : accounts.find(({ name }) => name === user);
  if (account === undefined)
    throw wrong(text, `the container's /etc/passwd has no user ${JSON.stringify(user)}`);
  const gid = group === undefined || isId(group) ? Number(group ?? account.gid) : gidOf(group);
  if (gid === undefined)
    throw wrong(text, `the container's /etc/group has no group ${JSON.stringify(group)}`);
  const identity = { ...base, uid: account.uid, gid };
  if (isId(user)) return identity;
  const isAlone = group !== undefined;
  const additionalGids = isAlone ? [] : supplementaryGids({ name: user, gid }, groups);
  return { ...identity, additionalGids };

  function gidOf(wanted: string): number | undefined {
    return groups.find(({ name }) => name === wanted)?.gid;
  }
}

/** @param text the user that is looked for */
function inRootOf<T>(pid: number, text: string, use: (root: number) => T): T {
  let root: number;
  try {
    root = openRootOf(pid);
  } catch (cause) {
    throw wrong(text, `cannot look into the container's root directory: ${reason(cause)}`, cause);
  }
  try {
    return use(root);
  } catch (cause) {
    throw wrong(text, reason(cause), cause);
  } finally {
    closeSync(root);
  }
}

function wrong(text: string, why: string, cause?: unknown): Error {
  return new Error(`--user ${text}: ${why}`, { cause });
}
