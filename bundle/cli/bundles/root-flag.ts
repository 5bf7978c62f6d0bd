import type { Flag } from '../command.ts';

/** Of commands that look for the containers of a bundle. */
export const ROOT: Flag = {
  name: 'root',
  value: 'DIR',
  about: "where to look for containers: the value of scow's --root",
};
