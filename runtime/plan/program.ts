import type { Process } from '../../schemas/runtime-config.ts';
import {
  AT,
  CLOSE_RANGE_CLOEXEC,
  PR,
  S,
  SIG,
  STATX,
  STATX_BASIC_STATS,
  STATX_SIZE,
} from '../linux/constants.ts';
import type { ProcessFacts, ProcessOptions } from './facts.ts';
import { loadFilter } from './seccomp.ts';
import {
  call,
  flags,
  inherited,
  type Origin,
  place,
  pointers,
  result,
  type Step,
  struct,
  type Value,
} from './step.ts';

/** The name that processes have before they become a program. */
export const INIT_NAME = 'scow:[init]';
const CWD = place('cwd', 4096);
const STATUS = place('program statx', STATX_SIZE);
const BYTE = place('byte', 8);
/** What is written to the FIFO or pipe that init waits at. */
export const GO = 1;
const SIG_SETMASK = 2;
const NO_SIGNALS = place('no signals', 8);
const RLIMIT_NOFILE = 7;
/** After the standard streams. */
const FIRST_DESCRIPTOR = 3;
const DEFAULT_UMASK = 0o022;
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Where scow puts `HOME=…`, read from the container's user database; see {@link needsHome}. */
export const HOME = place('home', 4096);

/**
 * The configured environment, each variable once with its last value: programs differ in which
 * of two they take. An empty HOME counts as none, as for runc.
 */
export function variables({ env = [] }: Process): string[] {
  const found = new Map<string, string>();
  for (const entry of env) {
    const name = entry.slice(0, entry.indexOf('='));
    found.delete(name);
    found.set(name, entry);
  }
  if (found.get('HOME') === 'HOME=') found.delete('HOME');
  return [...found.values()];
}

/** The environment says nothing of HOME: it comes from the container's /etc/passwd. */
export function needsHome(process: Process): boolean {
  return !variables(process).some((entry) => entry.startsWith('HOME='));
}

/** Changes to the working directory, as root or, where root may not, as the user (see later). */
export function enterDirectory(process: Process): Step[] {
  return [
    call('chdir', [process.cwd], {
      pointer: '/process/cwd',
      why: `change to the working directory ${process.cwd}`,
      tolerate: ['EACCES'],
    }),
  ];
}

/**
 * Makes sure of the working directory: the user is in it, and it is inside the container. A
 * directory outside of the root has no path: the kernel says «(unreachable)» (getcwd(2)).
 */
export function checkDirectory(process: Process): Step[] {
  const origin = {
    pointer: '/process/cwd',
    why: `change to the working directory ${process.cwd}`,
  };
  const current = call('getcwd', [CWD, CWD.size], origin);
  const again: Step = {
    kind: 'first',
    of: [
      [
        // «/» and the NUL after it: root could not change to the directory. EBADE: it could.
        { kind: 'check', at: CWD, offset: 0, width: 2, equals: 0x2f, errno: 'EBADE', ...origin },
        call('chdir', [process.cwd], origin),
      ],
      [],
    ],
    on: ['EBADE'],
    ...origin,
  };
  return [
    current,
    again,
    current,
    { kind: 'check', at: CWD, offset: 0, width: 1, equals: 0x2f, errno: 'ENOENT', ...origin },
  ];
}

/** What the program inherits besides its credentials. */
export function processAttributes(
  process: Process,
  facts: ProcessFacts,
  options: ProcessOptions,
): Step[] {
  const umask = process.user.umask ?? DEFAULT_UMASK;
  const steps: Step[] = [
    call('umask', [{ flags: umask, text: `0${umask.toString(8)}` }], {
      pointer: '/process/user/umask',
      why: 'set the file mode creation mask',
    }),
    ...openFiles(process, facts),
  ];
  if (options.foreground)
    steps.push(
      // Set after the change of credentials, which clears it.
      call('prctl', [flags('PR', PR, 'SET_PDEATHSIG'), SIG.KILL, 0, 0, 0], {
        pointer: '',
        why: 'end with scow',
      }),
    );
  return steps;
}

/** The configuration's RLIMIT_NOFILE, or the caller's. Init itself may have needed more. */
function openFiles({ rlimits = [] }: Process, facts: ProcessFacts): Step[] {
  const index = rlimits.findIndex(({ type }) => type === 'RLIMIT_NOFILE');
  const limit = rlimits[index] ?? facts.openFiles;
  if (limit === undefined) return [];
  const { soft, hard } = limit;
  return [
    call(
      'prlimit64',
      [0, RLIMIT_NOFILE, struct('rlimit', ['soft', 8, soft], ['hard', 8, hard]), 0],
      {
        pointer: index < 0 ? '' : `/process/rlimits/${index}`,
        why: `set RLIMIT_NOFILE to ${soft}, at most ${hard}`,
      },
    ),
  ];
}

/** The places where execvp(3) would look for the program, in order. */
export function candidates(process: Process): string[] {
  const program = process.args?.[0] ?? '';
  if (program.includes('/')) return [program];
  return searchPath(process)
    .split(':')
    .map((directory) => `${directory === '' ? '.' : directory}/${program}`);
}

/** PATH as the program's own environment has it. */
function searchPath(process: Process): string {
  const entry = (process.env ?? []).findLast((value) => value.startsWith('PATH='));
  return entry === undefined ? DEFAULT_PATH : entry.slice('PATH='.length);
}

/** What lets the search go on in the next directory of PATH. */
const ELSEWHERE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'];

/** Finds the program while scow still listens: its absence is an error of `create`. */
export function findProgram(process: Process): Step[] {
  const origin = { pointer: '/process/args/0', why: `find the program ${process.args?.[0]}` };
  const paths = candidates(process);
  const search: Step = {
    kind: 'first',
    of: paths.map((path) => executable(path, origin)),
    on: [...ELSEWHERE, 'EACCES'],
    ...origin,
  };
  if (paths.length === 1) return [search];
  const on = [...ELSEWHERE, 'EACCES'];
  return [{ kind: 'first', of: [[search], whyNone(paths, origin)], on, ...origin }];
}

/** Zeroed, and never written to. */
const NOTHING = place('nothing', 8);

/** As execvp(3): a program that may not be executed is a better reason than one that is missing. */
function whyNone(paths: readonly string[], origin: Origin): Step[] {
  const denied: Step = {
    kind: 'check',
    at: NOTHING,
    offset: 0,
    width: 1,
    equals: 1,
    errno: 'EACCES',
    ...origin,
  };
  const of = paths.map((path) => [mayExecute(path, origin), denied]);
  return [{ kind: 'first', of, on: ELSEWHERE, ...origin }];
}

const X_OK = { flags: 1, text: 'X_OK' };

function mayExecute(path: string, origin: Origin): Step {
  return call('faccessat2', [AT.FDCWD, path, X_OK, flags('AT', AT, 'EACCESS')], origin);
}

function executable(path: string, origin: Origin): Step[] {
  return [
    mayExecute(path, origin),
    call('statx', [AT.FDCWD, path, 0, STATX_BASIC_STATS, STATUS], origin),
    {
      kind: 'check',
      at: STATUS,
      offset: STATX.mode,
      width: 2,
      mask: S.IFMT,
      equals: S.IFREG,
      errno: 'EACCES',
      ...origin,
    },
    { kind: 'set', result: 'program', value: path, ...origin },
  ];
}

/**
 * Waits for a byte in the FIFO or pipe `fifo`, and becomes the program.
 *
 * @param why what init waits for then
 */
export function startProgram(process: Process, facts: ProcessFacts, why: string): Step[] {
  const origin = { pointer: '', why };
  return [
    call('rt_sigprocmask', [SIG_SETMASK, NO_SIGNALS, 0, 8], {
      pointer: '',
      why: 'let all signals through',
    }),
    { kind: 'report', point: 'ready', answer: {}, ...origin },
    ...loadFilter(process, facts),
    call('read', [inherited('fifo'), BYTE, 1], { ...origin, retry: ['EINTR'] }),
    // Nothing was read: whoever should have written it is gone.
    { kind: 'check', at: BYTE, offset: 0, width: 1, equals: GO, errno: 'ECANCELED', ...origin },
    call('execve', [result('program'), argv(process), environment(process)], {
      pointer: '/process/args',
      why: `execute ${process.args?.[0]}`,
    }),
  ];
}

/**
 * Closes what init opened on its way, and whatever of its caller's is not the program's. Until the
 * program runs, init has that and the talk with scow and what it waits at: its first descriptor of
 * its own and its third (see OWN_DESCRIPTORS); the progress page between them is mapped.
 */
export function closeSurplus({ preserveFds, preserved }: ProcessOptions): Step[] {
  const own = FIRST_DESCRIPTOR + preserveFds;
  const kept = [...preserved, own, own + 2];
  const starts = [FIRST_DESCRIPTOR, ...kept.map((fd) => fd + 1)];
  const close = (first: number, last: number, how: number) =>
    call('close_range', [first, last, how], {
      pointer: '',
      why: 'leave no descriptor of scow to the program',
    });
  return [
    ...starts.flatMap((start, i) => {
      const end = (kept[i] ?? 2 ** 32) - 1;
      return end < start ? [] : [close(start, end, 0)];
    }),
    close(own, own + 2, CLOSE_RANGE_CLOEXEC),
  ];
}

function argv(process: Process): Value {
  return pointers('argv', process.args ?? []);
}

function environment(process: Process): Value {
  return pointers('envp', [...variables(process), ...(needsHome(process) ? [HOME] : [])]);
}
