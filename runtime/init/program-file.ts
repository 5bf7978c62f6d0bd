import {
  AT,
  F,
  F_SEAL,
  FSCONFIG,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MFD,
  MOUNT_ATTR,
  O,
} from '../linux/constants.ts';
import { SyscallError, syscall, trySyscall, writeWord } from '../linux/syscall.ts';

const NAME = 'scow-init';
const EPERM = 1;
const EACCES = 13;
const EINVAL = 22;
const OWNER_READS_AND_EXECUTES = 0o500;
const MOUNT_ATTR_SIZE = 32;

/**
 * Puts a program into a file that has no path and that nobody can change any more, for
 * execveat(2): what runs in the container is what was compiled, and the container, which finds
 * it as /proc/1/exe, finds nothing of the host's there.
 *
 * @returns a close-on-exec descriptor, the caller's to close
 * @throws SyscallError; Error when the system forbids such files to all but root
 */
export function programFile(program: Uint8Array): number {
  const fd = emptyFile();
  if (fd === undefined) return readOnlyFile(program);
  return orClose(fd, () => {
    seal(fd, program);
    return fd;
  });
}

/**
 * The same file while it is empty: `seal` puts the program into it.
 *
 * @returns undefined where executable memfds are forbidden (vm.memfd_noexec=2)
 * @throws SyscallError
 */
export function emptyFile(): number | undefined {
  const base = MFD.CLOEXEC | MFD.ALLOW_SEALING;
  let fd = trySyscall('memfd_create', NAME, base | MFD.EXEC);
  // Kernels before 6.3 know no MFD_EXEC: there every memfd is executable.
  if (fd === -EINVAL) fd = trySyscall('memfd_create', NAME, base);
  if (fd === -EACCES) return undefined;
  if (fd < 0) throw new SyscallError('memfd_create', [NAME], -fd);
  return fd;
}

/** Writes the program into its empty file, which nobody can change from then on. @throws SyscallError */
export function seal(fd: number, program: Uint8Array): void {
  writeAll(fd, program);
  syscall('fcntl', fd, F.ADD_SEALS, F_SEAL.SEAL | F_SEAL.SHRINK | F_SEAL.GROW | F_SEAL.WRITE);
}

/** A file without a name in a read-only tmpfs that is mounted nowhere. */
function readOnlyFile(program: Uint8Array): number {
  const mount = detachedTmpfs();
  try {
    const writable = syscall(
      'openat',
      mount,
      '.',
      O.TMPFILE | O.RDWR | O.CLOEXEC,
      OWNER_READS_AND_EXECUTES,
    );
    // A mount cannot become read-only while a file of it is open for writing.
    const fd = orClose(writable, () => {
      writeAll(writable, program);
      return syscall('openat', AT.FDCWD, `/proc/self/fd/${writable}`, O.RDONLY | O.CLOEXEC, 0);
    });
    syscall('close', writable);
    return orClose(fd, () => {
      const attributes = new DataView(new ArrayBuffer(MOUNT_ATTR_SIZE));
      writeWord(attributes, 0, MOUNT_ATTR.RDONLY);
      const change = new Uint8Array(attributes.buffer);
      syscall('mount_setattr', mount, '', AT.EMPTY_PATH, change, change.byteLength);
      return fd;
    });
  } finally {
    syscall('close', mount);
  }
}

function detachedTmpfs(): number {
  const context = trySyscall('fsopen', 'tmpfs', FSOPEN_CLOEXEC);
  if (context === -EPERM)
    throw new Error(
      'vm.memfd_noexec=2 forbids the memory file that init runs from, and only root can do ' +
        'without: set it to 1 (sysctl vm.memfd_noexec=1), or run scow as root',
    );
  if (context < 0) throw new SyscallError('fsopen', ['tmpfs'], -context);
  try {
    syscall('fsconfig', context, FSCONFIG.CMD_CREATE, 0, 0, 0);
    return syscall('fsmount', context, FSMOUNT_CLOEXEC, 0);
  } finally {
    syscall('close', context);
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; )
    written += syscall('write', fd, bytes.subarray(written), bytes.length - written);
}

/** Closes the descriptor when what is done with it fails. */
function orClose(fd: number, use: () => number): number {
  try {
    return use();
  } catch (error) {
    syscall('close', fd);
    throw error;
  }
}
