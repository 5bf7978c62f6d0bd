import { type Stats, statSync } from 'node:fs';

/** Write permission of the group's, and of everybody's. */
const GROUP = 0o020;
const OTHERS = 0o002;

/**
 * Whose a directory is that is not ours.
 *
 * @returns undefined where it is ours, or there is none
 */
export function foreignOwner(path: string): number | undefined {
  const uid = statSync(path, { throwIfNoEntry: false })?.uid;
  return uid === process.geteuid?.() ? undefined : uid;
}

/**
 * Why the content of a directory is not to be relied on: somebody else may put other things there,
 * or symbolic links, between two calls.
 *
 * @param status of lstat(2)
 * @returns undefined where only its owner can, who is the caller
 */
export function whyOpen(status: Stats): string | undefined {
  const { uid, gid, mode } = status;
  if (!status.isDirectory()) return 'is no directory';
  if (uid !== process.geteuid?.()) return `belongs to user ${uid}`;
  // A group of the user's own is the rule where the umask lets it write.
  const group = (mode & GROUP) !== 0 && gid !== process.getegid?.();
  if (group || (mode & OTHERS) !== 0) return 'may be written to by others';
  return undefined;
}
