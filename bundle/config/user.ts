import {
  type Account,
  isId,
  MAX_ID,
  parseGroup,
  parsePasswd,
  supplementaryGids,
} from '../../runtime/linux/user-database.ts';
import type { User } from '../../schemas/runtime-config.ts';

/** The user database of an image: the text of its files, undefined where there is none. */
export interface UserDatabase {
  passwd(): string | undefined;
  group(): string | undefined;
}

/** How errors call what an image says of its user. */
export const IMAGE_USER = "the image's User";

/**
 * Turns an image's `Config.User` into the numbers of `process.user` (image-spec, conversion.md:
 * Config.User). Numbers are taken as they are; names are looked up in the image. Supplementary
 * groups come only with a user's name: neither with a number nor with a group.
 *
 * @param user `user`, `uid`, `user:group`, `uid:gid`, `uid:group`, `user:gid`; empty or undefined
 *   is the superuser, with the groups that the image gives it
 * @param who how errors call the setting
 * @param database where names are looked up; asked only when needed
 * @throws Error in one line for a name that the image does not know, or an impossible number
 */
export function resolveUser(
  user: string | undefined,
  database: UserDatabase,
  who = IMAGE_USER,
): User {
  const [userPart = '', groupPart = '', ...rest] = (user ?? '').split(':');
  const field = `${who} ${JSON.stringify(user ?? '')}`;
  if (rest.length > 0) throw new Error(`${field} has more than one colon`);
  const account = findAccount(userPart, database, field);
  if (groupPart !== '') return { uid: account.uid, gid: findGroup(groupPart, database, field) };
  const { uid, gid } = account;
  if (isNumber(userPart) || account.name === '') return { uid, gid };
  const additionalGids = supplementaryGids(account, parseGroup(database.group() ?? ''));
  return { uid, gid, ...(additionalGids.length === 0 ? {} : { additionalGids }) };
}

function findAccount(wanted: string, database: UserDatabase, field: string): Account {
  const accounts = parsePasswd(database.passwd() ?? '');
  if (wanted === '' || isNumber(wanted)) {
    const uid = wanted === '' ? 0 : toId(wanted, field);
    return accounts.find((account) => account.uid === uid) ?? { name: '', uid, gid: 0, home: '' };
  }
  const found = accounts.find(({ name }) => name === wanted);
  if (found === undefined)
    throw new Error(`${field}: the image's /etc/passwd has no user ${JSON.stringify(wanted)}`);
  return found;
}

function findGroup(wanted: string, database: UserDatabase, field: string): number {
  if (isNumber(wanted)) return toId(wanted, field);
  const found = parseGroup(database.group() ?? '').find(({ name }) => name === wanted);
  if (found === undefined)
    throw new Error(`${field}: the image's /etc/group has no group ${JSON.stringify(wanted)}`);
  return found.gid;
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

function toId(text: string, field: string): number {
  if (!isId(text)) throw new Error(`${field}: ${text} is above ${MAX_ID}, the highest ID`);
  return Number(text);
}
