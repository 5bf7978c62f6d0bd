import type { LayerTarget } from './target.ts';

const nothing = () => undefined;

/** Takes layers and makes nothing of them: for those who only want to know whether they are sound. */
export const NOWHERE: LayerTarget = {
  begin: nothing,
  createFile: nothing,
  write: nothing,
  endFile: nothing,
  createDirectory: nothing,
  createSymlink: nothing,
  createHardLink: nothing,
  createNode: nothing,
  unlink: nothing,
  removeDirectory: nothing,
};
