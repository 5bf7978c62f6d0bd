import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { parsePasswd } from '../../runtime/linux/user-database.ts';
import type { IdMapping } from '../../schemas/runtime-config.ts';
import { INSIDE, isInside } from './caller.ts';

/** The users and groups that a container of an ordinary user can have. */
export interface MappedIds {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
  /** Why there is none but root; undefined where there are others. */
  readonly onlyRoot?: string;
}

/** The programs that map an ordinary user's subordinate IDs, newuidmap(1). */
const HELPERS = ['newuidmap', 'newgidmap'] as const;

/**
 * The IDs that the caller's containers can have: those of the user namespace that scow-bundle is in,
 * or root, who is the caller, and behind root the caller's subordinate IDs, subuid(5).
 */
export function mappedIds(): MappedIds {
  return isInside() ? inheritedIds() : subordinateIds();
}

/**
 * The IDs that a container needs whose program runs as this user: to be run by root of the
 * container a bundle takes no help, and no file in it belongs to another user of the host.
 */
export function idsFor({ uid, gid }: { readonly uid: number; readonly gid: number }): MappedIds {
  return uid === 0 && gid === 0 && !isInside() ? ownIds() : mappedIds();
}

function inheritedIds(): MappedIds {
  const same = (kind: 'uid' | 'gid') =>
    readFileSync(`/proc/self/${kind}_map`, 'latin1')
      .trim()
      .split('\n')
      .map((line): IdMapping => {
        const [id = 0, , size = 0] = line.trim().split(/\s+/).map(Number);
        return { containerID: id, hostID: id, size };
      });
  const why = process.env[INSIDE];
  return { uids: same('uid'), gids: same('gid'), ...(why ? { onlyRoot: why } : {}) };
}

function subordinateIds(): MappedIds {
  const uid = process.geteuid?.() ?? 0;
  const name = userName(uid);
  const [uids, gids] = (['uid', 'gid'] as const).map((kind) =>
    readRanges(`/etc/sub${kind}`, name, uid),
  );
  const onlyRoot = whatIsMissing(name, uids ?? [], gids ?? []);
  const own = ownIds();
  return onlyRoot === undefined
    ? { uids: behindRoot(own.uids, uids ?? []), gids: behindRoot(own.gids, gids ?? []) }
    : { ...own, onlyRoot };
}

function ownIds(): MappedIds {
  const own = (hostID: number): IdMapping[] => [{ containerID: 0, hostID, size: 1 }];
  return { uids: own(process.geteuid?.() ?? 0), gids: own(process.getegid?.() ?? 0) };
}

function whatIsMissing(
  name: string,
  uids: readonly Range[],
  gids: readonly Range[],
): string | undefined {
  const absent = HELPERS.find((helper) => !isOnPath(helper));
  if (absent !== undefined)
    return `${absent} is missing: install the package uidmap (Debian) or shadow-utils (Fedora)`;
  if (/^NoNewPrivs:\s*1$/m.test(readFileSync('/proc/self/status', 'latin1')))
    return `${HELPERS[0]} would gain no privileges: somebody has set no_new_privs, prctl(2)`;
  const file = [uids, gids].findIndex((ranges) => ranges.length === 0);
  if (file < 0) return undefined;
  return `${['/etc/subuid', '/etc/subgid'][file]} has no line for ${name}: as root, usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${name} adds some, if no other user has them`;
}

function isOnPath(program: string): boolean {
  const path = process.env.PATH ?? '/usr/bin:/bin';
  return path.split(delimiter).some((directory) => existsSync(join(directory || '.', program)));
}

interface Range {
  readonly first: number;
  readonly count: number;
}

/** The lines of a file that are for a user, by name or by number. */
function readRanges(path: string, name: string, uid: number): Range[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(':'))
    .filter(([who]) => who === name || who === String(uid))
    .map(([, first, count]) => ({ first: Number(first), count: Number(count) }))
    .filter(({ first, count }) => first > 0 && count > 0);
}

function behindRoot(root: readonly IdMapping[], ranges: readonly Range[]): IdMapping[] {
  let next = 1;
  return [
    ...root,
    ...ranges.map(({ first, count }): IdMapping => {
      const containerID = next;
      next += count;
      return { containerID, hostID: first, size: count };
    }),
  ];
}

/** Also of users whom only the C library knows; a number where nobody does. */
function userName(uid: number): string {
  const passwd = existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8') : '';
  const account = parsePasswd(passwd).find((one) => one.uid === uid);
  if (account !== undefined) return account.name;
  try {
    return userInfo().username;
  } catch {
    return String(uid);
  }
}
