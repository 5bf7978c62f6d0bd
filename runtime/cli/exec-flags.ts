import type { Flag } from './flag.ts';

/** The flags of `exec`. */
export const EXEC_FLAGS: readonly Flag[] = [
  {
    name: 'process',
    short: 'p',
    value: 'FILE',
    about: 'a file that describes the process, in the form of process in config.json',
  },
  { name: 'cwd', value: 'CWD', about: 'the working directory in the container' },
  {
    name: 'env',
    short: 'e',
    value: 'NAME=VALUE',
    about: 'set an environment variable',
    repeatable: true,
  },
  { name: 'tty', short: 't', about: 'give the program a terminal' },
  {
    name: 'user',
    short: 'u',
    value: 'USER',
    about: 'run as UID[:GID], or as a user and group that the container has by name',
  },
  {
    name: 'additional-gids',
    short: 'g',
    value: 'GID',
    about: 'add the user to a group, by number',
    repeatable: true,
  },
  {
    name: 'cap',
    short: 'c',
    value: 'CAP',
    about: 'give the program one more capability',
    repeatable: true,
  },
  { name: 'no-new-privs', about: 'let no program gain privileges by its execution' },
  { name: 'apparmor', value: 'PROFILE', about: 'confine the program by an AppArmor profile' },
  { name: 'process-label', value: 'LABEL', about: 'give the program an SELinux label' },
  {
    name: 'cgroup',
    value: 'CGROUP',
    about: "run the program in a cgroup below the container's, which must be there",
  },
  { name: 'detach', short: 'd', about: 'do not wait for the program to end' },
  { name: 'pid-file', value: 'FILE', about: 'write the PID of the program to FILE' },
  {
    name: 'console-socket',
    value: 'SOCKET',
    about: 'a listening Unix socket that receives the master of the terminal',
  },
  {
    name: 'pidfd-socket',
    value: 'SOCKET',
    about: 'a listening Unix socket that receives a pidfd of the program',
  },
  {
    name: 'preserve-fds',
    value: 'N',
    about: 'hand N more file descriptors to the program, beside stdio',
    default: '0',
  },
  {
    name: 'ignore-paused',
    about: 'do it in a paused container too; the program begins when that is resumed',
  },
];
