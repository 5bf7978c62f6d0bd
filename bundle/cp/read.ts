import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { reason } from '../../runtime/linux/reason.ts';
import { openBundleFiles, readBundleConfig } from '../existing/files.ts';
import { bundlePath, hasRecord, readRecord } from '../existing/record.ts';
import { latin1, targetComponents } from '../layers/names.ts';
import { type ArchiveEntry, treeEntries } from '../layers/write/archive.ts';
import type { DiskFile } from '../layers/write/disk-file.ts';
import { DiskTree } from '../layers/write/disk-tree.ts';
import { resolvePath } from '../layers/write/resolve-path.ts';
import type { Place } from './place.ts';

/** What is to be copied, open. */
export interface Source {
  readonly file: DiskFile;
  /** Where it is on this machine, without symbolic links, while the bundle is mounted. */
  readonly path: string;
  /** What it is called where it is put into a directory, one character a byte. */
  readonly name: string;
  /** Whether only what is in the directory is meant: the path ends in `/.`. */
  readonly contents: boolean;
  close(): void;
}

/**
 * Opens what a path names. Symbolic links on the way are followed, in a bundle below its root
 * filesystem.
 *
 * @param follow whether a symbolic link at the end is followed as well
 * @throws Error in one line
 */
export function openSource(place: Exclude<Place, { kind: 'stream' }>, follow: boolean): Source {
  return place.kind === 'host' ? openHost(place.path, follow) : openInBundle(place, follow);
}

function openHost(path: string, follow: boolean): Source {
  const throughLink = follow || mustBeDirectory(path);
  let found: string;
  try {
    const parent = realpathSync(dirname(resolve(path)));
    found = throughLink ? realpathSync(path) : resolve(parent, basename(resolve(path)));
  } catch (cause) {
    throw new Error(`cannot read ${path}: ${reason(cause)}`, { cause });
  }
  const tree = new DiskTree(dirname(found), { overlay: false, rootless: false });
  try {
    const name = bytes(basename(found));
    const file = name === '' ? tree.root() : tree.file(name);
    if (file === undefined)
      throw new Error(`cannot read ${path}: there is no such file or directory`);
    checkDirectory(file, path);
    return {
      file,
      path: found,
      name: bytes(basename(resolve(path))),
      contents: isContents(path),
      close: () => tree.close(),
    };
  } catch (error) {
    tree.close();
    throw error;
  }
}

function openInBundle(
  { bundle, path, text }: Extract<Place, { kind: 'bundle' }>,
  follow: boolean,
): Source {
  const { root, rootfs, close } = openFiles(bundle);
  try {
    const throughLink = follow || mustBeDirectory(path);
    const found = (throughLink ? resolvePath : resolveParent)(root, bytes(path));
    const file = findFile(root, found);
    if (file === undefined)
      throw new Error(`cannot read ${text}: there is no such file or directory`);
    checkDirectory(file, text);
    // As the user calls it, whatever a link leads to.
    const name = bytes(basename(resolve('/', path)));
    const onHost = join(rootfs, Buffer.from(found, 'latin1').toString());
    return { file, path: onHost, name, contents: isContents(path), close };
  } catch (error) {
    close();
    throw error;
  }
}

interface RootFiles {
  readonly root: DiskFile;
  /** Where it is mounted, without symbolic links. */
  readonly rootfs: string;
  close(): void;
}

function openFiles(bundle: string): RootFiles {
  const rootfs = rootfsOf(bundle);
  if (hasRecord(bundle)) return { ...openBundleFiles(bundle, readRecord(bundle)), rootfs };
  const tree = new DiskTree(rootfs, { overlay: false, rootless: false });
  return { root: tree.root(), rootfs, close: () => tree.close() };
}

/** Where a bundle's root filesystem is, whoever made it. @throws Error in one line */
export function rootfsOf(bundle: string): string {
  const path = bundlePath(bundle);
  if (hasRecord(bundle)) return join(path, 'rootfs');
  return realpathSync(resolve(path, readBundleConfig(path).root?.path ?? ''));
}

/** Where a path leads, with what is before its last component resolved. */
function resolveParent(root: DiskFile, path: string): string {
  const slash = path.lastIndexOf('/');
  const last = path.slice(slash + 1);
  if (['', '.', '..'].includes(last)) return resolvePath(root, path);
  return [resolvePath(root, path.slice(0, Math.max(0, slash))), last].join('/');
}

/** Finds a file. @param path without symbolic links before its last component */
export function findFile(root: DiskFile, path: string): DiskFile | undefined {
  let file: DiskFile | undefined = root;
  for (const name of targetComponents(path))
    file = file?.type === 'directory' ? file.children().get(name) : undefined;
  return file;
}

/** The entries of a copy: names begin with the copy's own, links among the files included. */
export function* sourceEntries(
  file: DiskFile,
  name: string,
  onWarning: (line: string) => void,
): Generator<ArchiveEntry> {
  const cut = file.path === '' ? 0 : Buffer.byteLength(file.path, 'latin1') + 1;
  const rename = (path: Buffer): Buffer => {
    const below = latin1(path)
      .replace(/^\.\/$/, '')
      .slice(cut);
    const whole = [name, below].filter((part) => part !== '').join('/');
    return Buffer.from(whole === '' ? '.' : whole, 'latin1');
  };
  for (const { entry, ...rest } of treeEntries(file, { onWarning })) {
    const linkName = entry.type === 'hard link' ? rename(entry.linkName) : entry.linkName;
    const slash = entry.type === 'directory' ? Buffer.from('/') : Buffer.alloc(0);
    const named = rename(entry.name);
    const whole = latin1(named).endsWith('/') ? named : Buffer.concat([named, slash]);
    yield { entry: { ...entry, name: whole, linkName }, ...rest };
  }
}

function checkDirectory(file: DiskFile, path: string): void {
  if (mustBeDirectory(path) && file.type !== 'directory')
    throw new Error(`cannot read ${path}: it is not a directory`);
}

function isContents(path: string): boolean {
  return path === '.' || path.endsWith('/.');
}

/** Whether the end of a path says that it is a directory's. */
export function mustBeDirectory(path: string): boolean {
  return /\/\.?$/.test(path);
}

/** A path as it is typed, one character a byte. */
export function bytes(path: string): string {
  return Buffer.from(path).toString('latin1');
}
