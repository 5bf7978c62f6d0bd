import { targetComponents } from '../names.ts';
import type { TreeFile } from './disk-file.ts';

/** As many symbolic links in a path as the kernel follows, path_resolution(7). */
const LINK_LIMIT = 40;

/**
 * Finds where a path leads in a tree, as a process sees it whose root the tree is. Components that
 * do not exist stay as they are.
 *
 * @param path one character a byte
 * @returns a path below the root without symbolic links, or a slash at either end
 */
export function resolvePath(root: TreeFile, path: string): string {
  const done: { readonly name: string; readonly file: TreeFile | undefined }[] = [];
  const ahead = targetComponents(path).reverse();
  let links = 0;
  for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
    if (name === '..') {
      done.pop();
      continue;
    }
    const last = done.at(-1);
    const directory = last === undefined ? root : last.file;
    const file = directory?.type === 'directory' ? directory.children().get(name) : undefined;
    if (file?.type !== 'symbolic link' || ++links > LINK_LIMIT) {
      done.push({ name, file });
      continue;
    }
    const target = file.target();
    if (target.startsWith('/')) done.length = 0;
    ahead.push(...targetComponents(target).reverse());
  }
  return done.map(({ name }) => name).join('/');
}
