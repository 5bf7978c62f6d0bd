import { O } from './constants.ts';
import { errnoCode } from './errno.ts';
import { SyscallError, trySyscall, writeWord } from './syscall.ts';

const EAGAIN = errnoCode('EAGAIN');
const EINTR = errnoCode('EINTR');

/** Far more than renames elsewhere on the system make needed by chance. */
const ATTEMPTS = 128;

/**
 * openat2(2): opens `path` below the directory `dirfd`, under the restrictions of `resolve`.
 *
 * @param path text, or bytes with a NUL at their end
 * @param flags O.* flags; O_CLOEXEC is always added
 * @param resolve RESOLVE.* flags, such as RESOLVE.IN_ROOT to treat `dirfd` as the root
 * @param mode permission bits of a file that O_CREAT makes
 * @returns the new descriptor
 * @throws SyscallError when the kernel refuses
 */
export function openat2(
  dirfd: number,
  path: string | Uint8Array,
  flags: number,
  resolve: number,
  mode = 0,
): number {
  const result = tryOpenat2(dirfd, path, flags, resolve, mode);
  if (result < 0) throw new SyscallError('openat2', [dirfd, path, flags, resolve], -result);
  return result;
}

/** As `openat2`, but returns the kernel's own result, `-errno` on failure. */
export function tryOpenat2(
  dirfd: number,
  path: string | Uint8Array,
  flags: number,
  resolve: number,
  mode = 0,
): number {
  const how = new Uint8Array(24);
  const view = new DataView(how.buffer);
  writeWord(view, 0, flags | O.CLOEXEC);
  writeWord(view, 8, mode);
  writeWord(view, 16, resolve);
  // With `..` in the path the kernel answers EAGAIN when anything was renamed meanwhile.
  for (let attempt = 1; ; attempt++) {
    const result = trySyscall('openat2', dirfd, path, how, how.byteLength);
    if ((result !== -EAGAIN && result !== -EINTR) || attempt === ATTEMPTS) return result;
  }
}
