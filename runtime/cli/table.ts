import type { Command, Positional } from './command.ts';
import { EXEC_FLAGS } from './exec-flags.ts';
import type { Flag } from './flag.ts';

/** They stand before the command. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  { name: 'debug', about: 'also log what is being done' },
  {
    name: 'log',
    value: 'FILE',
    about: 'write errors and warnings to FILE too, or to journald:NAME or syslog:NAME',
  },
  {
    name: 'log-format',
    value: 'FORMAT',
    about: 'how lines of the log look',
    choices: ['text', 'json'],
    default: 'text',
  },
  {
    name: 'root',
    value: 'DIR',
    about:
      'where the state of containers is kept, best on a tmpfs [default: "/run/scow"; for an ordinary user "$XDG_RUNTIME_DIR/scow"]',
  },
  {
    name: 'log-level',
    value: 'LEVEL',
    about: 'the least that is logged; info is as warning',
    choices: ['error', 'warning', 'info', 'debug'],
    default: 'warning',
  },
  {
    name: 'cgroup-manager',
    value: 'MANAGER',
    about: 'who makes the cgroups; with disabled there are none, and so no limits and device rules',
    choices: ['cgroupfs', 'systemd', 'disabled'],
    default: 'cgroupfs',
  },
  {
    name: 'systemd-cgroup',
    about: 'have systemd make the cgroups; linux.cgroupsPath is then slice:prefix:name',
  },
  {
    name: 'rootless',
    value: 'WHEN',
    about: 'go on without limits where cgroups may not be changed',
    choices: ['true', 'false', 'auto'],
    default: 'auto',
  },
  { name: 'criu', value: 'FILE', about: 'the criu program', hidden: true },
  { name: 'version', short: 'v', about: 'print the version' },
  { name: 'help', short: 'h', about: 'show help' },
];

/** Every command has it. */
export const HELP_FLAG: Flag = { name: 'help', short: 'h', about: 'show help' };

const NEW_CONTAINER: Positional = {
  name: 'container-id',
  about: 'the name of the container, unique below --root',
};

const CONTAINER: Positional = { ...NEW_CONTAINER, completes: 'containers' };

const REGEX: Flag = {
  name: 'regex',
  short: 'r',
  about:
    'container-id is a regular expression: do it for every container that has a match in its ID',
};

const CREATE_FLAGS: readonly Flag[] = [
  {
    name: 'bundle',
    short: 'b',
    value: 'DIR',
    about: 'the bundle: a directory with config.json and the root filesystem',
    default: '.',
  },
  {
    name: 'console-socket',
    value: 'SOCKET',
    about: "a listening Unix socket that receives the master of the container's terminal",
  },
  {
    name: 'config',
    short: 'f',
    value: 'FILE',
    about: "the configuration, instead of the bundle's config.json",
  },
  {
    name: 'pidfd-socket',
    value: 'SOCKET',
    about: "a listening Unix socket that receives a pidfd of the container's init",
  },
  { name: 'pid-file', value: 'FILE', about: "write the PID of the container's init to FILE" },
  {
    name: 'no-pivot',
    about: 'move the root filesystem instead of pivot_root, for a rootfs on a ramdisk',
  },
  { name: 'no-new-keyring', about: 'keep the session keyring of the caller' },
  {
    name: 'preserve-fds',
    value: 'N',
    about: 'hand N more file descriptors to the program, beside stdio and $LISTEN_FDS',
    default: '0',
  },
];

const UPDATE_FLAGS: readonly Flag[] = [
  {
    name: 'resources',
    short: 'r',
    value: 'FILE',
    about: 'the new limits, as in linux.resources of config.json, from FILE or, for -, from stdin',
  },
  { name: 'memory', value: 'BYTES', about: 'limit of memory, such as 512m; -1 is none' },
  { name: 'memory-reservation', value: 'BYTES', about: 'memory that is kept when it runs short' },
  { name: 'memory-swap', value: 'BYTES', about: 'limit of memory and swap together; -1 is none' },
  { name: 'cpu-share', value: 'N', about: 'weight among other containers, 1024 is usual' },
  { name: 'cpu-quota', value: 'MICROSECONDS', about: 'CPU time in each period; -1 is no limit' },
  { name: 'cpu-period', value: 'MICROSECONDS', about: 'length of a period' },
  { name: 'cpu-burst', value: 'MICROSECONDS', about: 'CPU time that may be saved up' },
  { name: 'cpu-idle', value: 'N', about: '1: run only when the machine is idle' },
  { name: 'cpuset-cpus', value: 'LIST', about: 'which CPUs, such as 0-2,4' },
  { name: 'cpuset-mems', value: 'LIST', about: 'which memory nodes' },
  { name: 'pids-limit', value: 'N', about: 'limit of processes; -1 is none' },
  { name: 'blkio-weight', value: 'N', about: 'weight for disks, 10 to 1000' },
  { name: 'l3-cache-schema', value: 'SCHEMA', about: 'part of the cache, such as L3:0=f;1=f0' },
  { name: 'mem-bw-schema', value: 'SCHEMA', about: 'share of memory bandwidth, such as MB:0=20' },
  { name: 'cpu-rt-period', value: 'N', about: 'refused: cgroup v1 only', hidden: true },
  { name: 'cpu-rt-runtime', value: 'N', about: 'refused: cgroup v1 only', hidden: true },
  { name: 'kernel-memory', value: 'N', about: 'refused: cgroup v1 only', hidden: true },
  { name: 'kernel-memory-tcp', value: 'N', about: 'refused: cgroup v1 only', hidden: true },
];

/** All commands, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  {
    name: 'completion',
    about: 'print a script that completes command lines in a shell',
    positionals: [{ name: 'shell', about: 'which shell', choices: ['bash', 'zsh', 'fish'] }],
    flags: [],
    load: () => import('./completion.ts'),
  },
  {
    name: 'create',
    about: 'create a container, whose program then waits for start',
    positionals: [NEW_CONTAINER],
    flags: CREATE_FLAGS,
    load: () => import('./create.ts'),
  },
  {
    name: 'delete',
    about: 'delete a stopped container and everything that belongs to it',
    positionals: [CONTAINER],
    flags: [
      { name: 'force', short: 'f', about: 'kill it first if it runs; no error if there is none' },
      REGEX,
    ],
    load: () => import('./delete.ts'),
  },
  {
    name: 'events',
    about: 'print what a container uses, as lines of JSON',
    positionals: [CONTAINER],
    flags: [
      {
        name: 'interval',
        value: 'TIME',
        about: 'the time between two statistics, such as 500ms or 1m',
        default: '5s',
      },
      { name: 'stats', about: 'print the statistics once' },
    ],
    load: () => import('./events.ts'),
  },
  {
    name: 'exec',
    about: 'execute a further program in a container',
    positionals: [
      CONTAINER,
      { name: 'command', about: 'the program and its arguments', optional: true, many: true },
    ],
    flagsFirst: true,
    // Unlike any that a program is likely to have.
    failure: 255,
    flags: EXEC_FLAGS,
    load: () => import('./exec.ts'),
  },
  {
    name: 'features',
    about: 'print what scow can do as JSON',
    positionals: [],
    flags: [],
    load: () => import('./features.ts'),
  },
  {
    name: 'kill',
    about: "send a signal to a container's first process",
    positionals: [
      CONTAINER,
      {
        name: 'signal',
        about: 'name or number; TERM if not given',
        optional: true,
        completes: 'signals',
      },
    ],
    flags: [{ name: 'all', short: 'a', about: 'send it to all processes of the container' }, REGEX],
    load: () => import('./kill.ts'),
  },
  {
    name: 'list',
    about: 'list the containers',
    positionals: [],
    flags: [
      {
        name: 'format',
        short: 'f',
        value: 'FORMAT',
        about: 'how to print them',
        choices: ['table', 'json'],
        default: 'table',
      },
      { name: 'quiet', short: 'q', about: 'print the IDs only' },
    ],
    load: () => import('./list.ts'),
  },
  {
    name: 'pause',
    about: 'make all processes of a container stand still',
    positionals: [CONTAINER],
    flags: [],
    load: () => import('./pause.ts'),
  },
  {
    name: 'ps',
    about: 'show the processes of a container',
    positionals: [
      CONTAINER,
      {
        name: 'ps-option',
        about: 'what ps(1) is to show of them; -ef if not given',
        optional: true,
        many: true,
      },
    ],
    flags: [
      {
        name: 'format',
        short: 'f',
        value: 'FORMAT',
        about: 'how to print them: as ps(1) does, or their PIDs only',
        choices: ['table', 'json'],
        default: 'table',
      },
    ],
    flagsFirst: true,
    load: () => import('./ps.ts'),
  },
  {
    name: 'resume',
    about: 'let the processes of a paused container go on',
    positionals: [CONTAINER],
    flags: [],
    load: () => import('./resume.ts'),
  },
  {
    name: 'run',
    about: 'create a container, start it and wait for it to end',
    positionals: [NEW_CONTAINER],
    flags: [
      ...CREATE_FLAGS,
      { name: 'detach', short: 'd', about: 'do not wait for it to end' },
      { name: 'keep', about: 'do not delete it when it has ended' },
      { name: 'no-subreaper', about: 'do not adopt orphans of the container', hidden: true },
    ],
    load: () => import('./run.ts'),
  },
  {
    name: 'spec',
    about: 'write a config.json to begin with',
    positionals: [],
    flags: [
      { name: 'bundle', short: 'b', value: 'DIR', about: 'where to write it', default: '.' },
      { name: 'rootless', about: 'for a container that this user can run without being root' },
    ],
    load: () => import('./spec.ts'),
  },
  {
    name: 'start',
    about: "execute a created container's program",
    positionals: [CONTAINER],
    flags: [],
    load: () => import('./start.ts'),
  },
  {
    name: 'state',
    about: 'print the state of a container as JSON',
    positionals: [CONTAINER],
    flags: [],
    load: () => import('./state.ts'),
  },
  {
    name: 'stop',
    about: 'ask a container to end, kill it if it does not',
    positionals: [CONTAINER],
    flags: [
      {
        name: 'time',
        short: 't',
        value: 'SECONDS',
        about: 'how long it gets to end by itself; -1 waits for ever',
        default: '10',
      },
      {
        name: 'signal',
        short: 's',
        value: 'SIGNAL',
        about: "how it is asked, instead of by its image's stop signal, or TERM",
        completes: 'signals',
      },
    ],
    load: () => import('./stop.ts'),
  },
  {
    name: 'update',
    about: 'change the limits of a container',
    positionals: [CONTAINER],
    flags: UPDATE_FLAGS,
    load: () => import('./update.ts'),
  },
];

/** The hidden command that the scripts of `completion` call. */
export const COMPLETE = '__complete';

/** A word that is no command: engines know it by runc's exit status. */
export class UnknownCommand extends Error {
  readonly exitStatus = 3;
}

/** Commands of other runtimes that engines may call and scow does not have yet. */
export const NOT_YET: readonly string[] = ['checkpoint', 'restore'];
