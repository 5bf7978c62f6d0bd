/** An entry of passwd(5). */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** An entry of group(5). */
export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** (uid_t) -1 means "leave as it is" to the kernel, so no user can have it. */
export const MAX_ID = 2 ** 32 - 2;

/** Whether a text is nothing but the number of a user or group. */
export function isId(text: string): boolean {
  return /^\d+$/.test(text) && Number(text) <= MAX_ID;
}

/** The accounts of a passwd(5) file. Lines that make no sense are passed over, as the C library does. */
export function parsePasswd(text: string): Account[] {
  return rows(text).flatMap(([name = '', , uid = '', gid = '', , home = '']) =>
    name !== '' && isId(uid) && isId(gid)
      ? [{ name, uid: Number(uid), gid: Number(gid), home }]
      : [],
  );
}

/** The groups of a group(5) file, likewise. */
export function parseGroup(text: string): Group[] {
  return rows(text).flatMap(([name = '', , gid = '', members = '']) =>
    name !== '' && isId(gid)
      ? [{ name, gid: Number(gid), members: members.split(',').map((member) => member.trim()) }]
      : [],
  );
}

/** The groups, by number, in which a group(5) file lists a user, but for the user's own. */
export function supplementaryGids(
  { name, gid }: Pick<Account, 'name' | 'gid'>,
  groups: readonly Group[],
): number[] {
  const found = groups.filter(({ members }) => members.includes(name)).map((group) => group.gid);
  return [...new Set(found)].filter((other) => other !== gid);
}

function rows(text: string): string[][] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}
