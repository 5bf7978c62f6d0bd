import { refused } from './support.ts';

refused([
  [
    'an errno for an action that has none',
    [['/linux/seccomp/syscalls/0/errnoRet', 1]],
    '/linux/seccomp/syscalls/0/errnoRet',
    '1',
    'nothing beside SCMP_ACT_NOTIFY: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have an errno',
  ],
  [
    'a default errno for an action that has none',
    [['/linux/seccomp/defaultAction', 'SCMP_ACT_ALLOW']],
    '/linux/seccomp/defaultErrnoRet',
    '38',
    'nothing beside SCMP_ACT_ALLOW: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have an errno',
  ],
  [
    'a notification for every call',
    [
      ['/linux/seccomp/defaultAction', 'SCMP_ACT_NOTIFY'],
      ['/linux/seccomp/defaultErrnoRet', undefined],
    ],
    '/linux/seccomp/defaultAction',
    '"SCMP_ACT_NOTIFY"',
    'any action but SCMP_ACT_NOTIFY, which would stop the container before it starts',
  ],
  [
    'a notification for nobody',
    [
      ['/linux/seccomp/listenerPath', undefined],
      ['/linux/seccomp/listenerMetadata', undefined],
    ],
    '/linux/seccomp/listenerPath',
    'missing',
    'the absolute path of a Unix socket, required by SCMP_ACT_NOTIFY',
  ],
  [
    'a relative path to whom notifications go',
    [['/linux/seccomp/listenerPath', 'agent.sock']],
    '/linux/seccomp/listenerPath',
    '"agent.sock"',
    'the absolute path of a Unix socket, required by SCMP_ACT_NOTIFY',
  ],
  [
    'a notification of what runc cannot notify',
    [['/linux/seccomp/syscalls/0/names/0', 'write']],
    '/linux/seccomp/syscalls/0/names/0',
    '"write"',
    'another name: SCMP_ACT_NOTIFY cannot be used for the write syscall',
  ],
  [
    'a flag of notifications without any',
    [
      ['/linux/seccomp/flags', ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV']],
      ['/linux/seccomp/syscalls/0/action', 'SCMP_ACT_LOG'],
    ],
    '/linux/seccomp/flags/0',
    '"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"',
    'this flag only beside a system call with SCMP_ACT_NOTIFY',
  ],
  [
    'a second value for an operator that takes one',
    [['/linux/seccomp/syscalls/0/args', [{ index: 0, value: 1, valueTwo: 2, op: 'SCMP_CMP_EQ' }]]],
    '/linux/seccomp/syscalls/0/args/0/valueTwo',
    '2',
    'nothing beside SCMP_CMP_EQ: only SCMP_CMP_MASKED_EQ has a second value',
  ],
]);
