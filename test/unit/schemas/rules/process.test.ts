import { refused } from './support.ts';

refused([
  [
    'a limit twice',
    [['/process/rlimits/1/type', 'RLIMIT_NOFILE']],
    '/process/rlimits/1/type',
    '"RLIMIT_NOFILE" once more',
    'each type once',
  ],
  [
    'a soft limit above the hard one',
    [['/process/rlimits/0/soft', 18446744073709551615n]],
    '/process/rlimits/0/soft',
    '18446744073709551615',
    'an integer up to the hard limit, 4096',
  ],
  [
    'an argument that the kernel would cut off',
    [['/process/args/2', 'true\0; false']],
    '/process/args/2',
    '"true\\u0000; false"',
    'a string without NUL characters',
  ],
]);
