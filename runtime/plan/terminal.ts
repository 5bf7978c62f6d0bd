import type { Process } from '../../schemas/runtime-config.ts';
import { MAGIC, O, S, STATX, STATX_SIZE, TIO } from '../linux/constants.ts';
import { call, flags, place, result, type Step, struct } from './step.ts';
import { attach, cloneTree, openInRoot, openTarget } from './targets.ts';

const FILESYSTEM = place('statfs', 120);
const STATUS = place('terminal statx', STATX_SIZE);

/** The container's end of the terminal. */
const TERMINAL = result('terminal');

/** The end of the terminal that scow gets, under this name. */
export const MASTER = result('master');

/**
 * Opens a terminal in the container's devpts. The slave is had from the master itself
 * (TIOCGPTPEER, ioctl_tty(2)): no path leads to it.
 */
export function openTerminal(process: Process): Step[] {
  if (!process.terminal) return [];
  const origin = { pointer: '/process/terminal', why: 'open a terminal in /dev/pts' };
  const unlock = struct('int', ['unlock', 4, 0]);
  return [
    // Checked before anything in it is opened: opening a device can do harm.
    openInRoot('/dev/pts', flags('O', O, 'PATH', 'DIRECTORY'), { ...origin, result: 'pts' }),
    call('fstatfs', [result('pts'), FILESYSTEM], origin),
    {
      kind: 'check',
      at: FILESYSTEM,
      offset: 0,
      width: 4,
      equals: MAGIC.DEVPTS_SUPER,
      errno: 'ENOTTY',
      ...origin,
    },
    call(
      'openat',
      [result('pts'), 'ptmx', flags('O', O, 'RDWR', 'NOCTTY', 'NOFOLLOW', 'CLOEXEC')],
      {
        ...origin,
        result: 'master',
      },
    ),
    call('ioctl', [MASTER, { flags: TIO.SPTLCK, text: 'TIOCSPTLCK' }, unlock], origin),
    call(
      'ioctl',
      [
        MASTER,
        { flags: TIO.GPTPEER, text: 'TIOCGPTPEER' },
        flags('O', O, 'RDWR', 'NOCTTY', 'CLOEXEC'),
      ],
      { ...origin, result: 'terminal' },
    ),
    call('fchown', [TERMINAL, process.user.uid, -1], {
      pointer: '/process/user/uid',
      why: 'give the terminal to the user of the process',
    }),
  ];
}

/** Puts the terminal on /dev/console. */
export function mountConsole(process: Process): Step[] {
  if (!process.terminal) return [];
  const origin = { pointer: '/process/terminal', why: 'put the terminal on /dev/console' };
  return [
    cloneTree(TERMINAL, '', false, { ...origin, result: 'console' }),
    openTarget({ path: '/dev/console', resolved: '/dev/console', type: 'file' }, 'target', origin),
    attach(result('console'), result('target'), origin),
  ];
}

/** Makes the terminal the standard streams, and the controlling terminal of a new session. */
export function useTerminal(process: Process): Step[] {
  const session = call('setsid', [], { pointer: '', why: 'start a session' });
  if (!process.terminal) return [session];
  const origin = { pointer: '/process/terminal', why: 'use the terminal' };
  return [
    session,
    ...[0, 1, 2].map((fd) => call('dup3', [TERMINAL, fd, 0], origin)),
    call('ioctl', [0, { flags: TIO.SCTTY, text: 'TIOCSCTTY' }, 0], origin),
  ];
}

/**
 * Gives standard streams to the user of the process, as runc and crun do, for /dev/stdout opens
 * its file anew. Devices, such as /dev/null and the caller's terminal, belong to others too.
 */
export function ownStreams(process: Process): Step[] {
  if (process.terminal || process.user.uid === 0) return [];
  const origin = { pointer: '/process/user/uid', why: 'give the standard streams to the user' };
  return [0, 1, 2].map((fd) => ({
    kind: 'first',
    of: [
      [
        call('statx', [fd, '', 0x1000, 0x7ff, STATUS], origin),
        {
          kind: 'check',
          at: STATUS,
          offset: STATX.mode,
          width: 2,
          mask: S.IFMT,
          equals: S.IFCHR,
          errno: 'EBADE',
          ...origin,
        },
      ],
      [
        call('fchown', [fd, process.user.uid, -1], {
          ...origin,
          tolerate: ['EBADF', 'EPERM', 'EINVAL', 'EROFS', 'EIO', 'EACCES', 'ENOSYS', 'EOPNOTSUPP'],
        }),
      ],
    ],
    on: ['EBADE', 'EBADF'],
    ...origin,
  }));
}
