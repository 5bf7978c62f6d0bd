import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setXattr } from './nasty-tree.ts';
import { archive, directory, file, hardLink, symlink } from './tar.ts';

/** Changes of files as containers make them, on layers above `makeNastyTree`'s. */

/** Two layers: one more, and one that hides and replaces parts of it. */
export function lowerLayers(): Buffer[] {
  return [
    archive(
      ...['etc', 'gone', 'old', 'old/sub', 'var', 'mnt', 'swap-dir'].map((name) => directory(name)),
      file('etc/passwd', 'root'),
      file('etc/same', 'same'),
      file('etc/mode', ''),
      file('gone/file'),
      file('old/a', 'a'),
      file('old/sub/b', 'b'),
      file('a-one', 'one file'),
      hardLink('b-one', 'a-one'),
      hardLink('c-one', 'a-one'),
      file('swap-file', 'f'),
      file('swap-dir/inside'),
      file('unlinked'),
      symlink('run', 'var/run'),
      directory('var/run'),
    ),
    archive(file('.wh.gone'), directory('etc'), file('etc/new', 'n'), file('old/.wh.a')),
  ];
}

/** Everything that a container may do to its files. */
export function changeTree(root: string): void {
  const at = (name: string) => join(root, name);
  writeFileSync(at('etc/passwd'), 'root and others');
  chmodSync(at('etc/mode'), 0o600);
  // The same size and, afterwards, the same times.
  const { atime, mtime } = statSync(at('etc/same'));
  writeFileSync(at('etc/same'), 'SAME');
  utimesSync(at('etc/same'), atime, mtime);
  // Opened to be written to, and nothing written: overlayfs copies it up all the same.
  closeSync(openSync(at('etc/new'), 'r+'));
  rmSync(at('unlinked'));
  rmSync(at('old'), { recursive: true });
  mkdirSync(at('old/fresh'), { recursive: true });
  writeFileSync(at('old/z'), 'z');
  rmSync(at('swap-file'));
  mkdirSync(at('swap-file'));
  writeFileSync(at('swap-file/inside'), 'i');
  rmSync(at('swap-dir'), { recursive: true });
  symlinkSync('elsewhere', at('swap-dir'));
  writeFileSync(at('added'), 'new');
  linkSync(at('added'), at('etc/added-too'));
  linkSync(at('block'), at('etc/block-too'));
  chownSync(at('dir'), 7, 8);
  setXattr(at('dir/file'), 'user.new', '0sAAE=');
  renameSync(at('xattr'), at('renamed'));
  rmSync(at('null'));
  execFileSync('mknod', [at('null'), 'c', '1', '5']);
  mkdirSync(at('mnt/made/for/mount'), { recursive: true });
  mkdirSync(at('var/run/volume'));
  writeFileSync(at('var/run/volume/data'), 'not of the image');
}

/** What `docker diff` calls that, in the order of a layer. */
export const CHANGES = [
  ['D', 'unlinked'],
  ['D', 'xattr'],
  ['A', 'added'],
  ['C', 'dir'],
  ['C', 'dir/file'],
  ['C', 'etc'],
  ['A', 'etc/added-too'],
  ['A', 'etc/block-too'],
  ['C', 'etc/mode'],
  ['C', 'etc/passwd'],
  ['C', 'etc/same'],
  ['C', 'null'],
  ['C', 'old'],
  ['D', 'old/sub'],
  ['A', 'old/fresh'],
  ['A', 'old/z'],
  ['A', 'renamed'],
  ['C', 'swap-dir'],
  ['C', 'swap-file'],
  ['A', 'swap-file/inside'],
];
