import type { Flag } from './command.ts';

/** Of commands that write an archive. */
export const OUTPUT: Flag = {
  name: 'output',
  short: 'o',
  value: 'FILE',
  about: 'where to; standard output by default, if that is no terminal',
};
