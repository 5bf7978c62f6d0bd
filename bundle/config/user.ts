import type { User } from '../../schemas/runtime-config.ts';

/** The user database of an image: the text of its files, undefined where there is none. */
export interface UserDatabase {
  passwd(): string | undefined;
  group(): string | undefined;
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** (uid_t) -1 means "leave as it is" to the kernel, so no user can have it. */
const MAX_ID = 2 ** 32 - 2;

/**
 * Turns an image's `Config.User` into the numbers of `process.user` (image-spec, conversion.md:
 * Config.User). Numbers are taken as they are; names are looked up in the image. Supplementary
 * groups come only with a user's name: neither with a number nor with a group.
 *
 * @param user `user`, `uid`, `user:group`, `uid:gid`, `uid:group`, `user:gid`; empty or undefined
 *   is the superuser, with the groups that the image gives it
 * @param database where names are looked up; asked only when needed
 * @throws Error in one line for a name that the image does not know, or an impossible number
 */
export function resolveUser(user: string | undefined, database: UserDatabase): User {
  const [userPart = '', groupPart = '', ...rest] = (user ?? '').split(':');
  if (rest.length > 0) throw new Error(`${field(user)} has more than one colon`);
  const account = findAccount(userPart, database, user);
  if (groupPart !== '') return { uid: account.uid, gid: findGroup(groupPart, database, user) };
  const { uid, gid } = account;
  if (isNumber(userPart) || account.name === '') return { uid, gid };
  const additionalGids = supplementary(account, database);
  return { uid, gid, ...(additionalGids.length === 0 ? {} : { additionalGids }) };
}

function findAccount(wanted: string, database: UserDatabase, user: string | undefined): Account {
  const accounts = parsePasswd(database.passwd());
  if (wanted === '' || isNumber(wanted)) {
    const uid = wanted === '' ? 0 : toId(wanted, user);
    return accounts.find((account) => account.uid === uid) ?? { name: '', uid, gid: 0 };
  }
  const found = accounts.find(({ name }) => name === wanted);
  if (found === undefined)
    throw new Error(
      `${field(user)}: the image's /etc/passwd has no user ${JSON.stringify(wanted)}`,
    );
  return found;
}

function findGroup(wanted: string, database: UserDatabase, user: string | undefined): number {
  if (isNumber(wanted)) return toId(wanted, user);
  const found = parseGroup(database.group()).find(({ name }) => name === wanted);
  if (found === undefined)
    throw new Error(
      `${field(user)}: the image's /etc/group has no group ${JSON.stringify(wanted)}`,
    );
  return found.gid;
}

function supplementary({ name, gid }: Account, database: UserDatabase): number[] {
  const groups = parseGroup(database.group()).filter(({ members }) => members.includes(name));
  return [...new Set(groups.map((group) => group.gid))].filter((other) => other !== gid);
}

/** passwd(5). Lines that make no sense are passed over, as the C library does. */
function parsePasswd(text: string | undefined): Account[] {
  return rows(text).flatMap(([name = '', , uid = '', gid = '']) =>
    name !== '' && isId(uid) && isId(gid) ? [{ name, uid: Number(uid), gid: Number(gid) }] : [],
  );
}

/** group(5), likewise. */
function parseGroup(text: string | undefined): Group[] {
  return rows(text).flatMap(([name = '', , gid = '', members = '']) =>
    name !== '' && isId(gid)
      ? [{ name, gid: Number(gid), members: members.split(',').map((member) => member.trim()) }]
      : [],
  );
}

function rows(text: string | undefined): string[][] {
  return (text ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

function isId(text: string): boolean {
  return isNumber(text) && Number(text) <= MAX_ID;
}

function toId(text: string, user: string | undefined): number {
  if (!isId(text)) throw new Error(`${field(user)}: ${text} is above ${MAX_ID}, the highest ID`);
  return Number(text);
}

function field(user: string | undefined): string {
  return `the image's User ${JSON.stringify(user ?? '')}`;
}
