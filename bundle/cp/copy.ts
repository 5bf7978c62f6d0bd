import { closeSync, constants, openSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { reason } from '../../runtime/linux/reason.ts';
import { isMounted } from '../existing/mount.ts';
import { hasRecord, readRecord } from '../existing/record.ts';
import { openInput } from '../files/input-file.ts';
import { openOutput } from '../files/output-file.ts';
import { naming } from '../layers/read-layer.ts';
import { TarReader } from '../layers/tar/reader.ts';
import { tarOf } from '../layers/write/archive.ts';
import { DiskTree } from '../layers/write/disk-tree.ts';
import { resolvePath } from '../layers/write/resolve-path.ts';
import type { Place } from './place.ts';
import {
  bytes,
  findFile,
  mustBeDirectory,
  openSource,
  rootfsOf,
  type Source,
  sourceEntries,
} from './read.ts';
import { Receiver } from './receiver.ts';

/** How files are copied. */
export interface CopyOptions {
  /** Whether owners, setuid, extended attributes and devices are kept. */
  readonly archive: boolean;
  /** Whether a symbolic link that is named as the source is followed. */
  readonly follow: boolean;
  /** Stops the work, which then fails with the signal's reason. */
  readonly signal: AbortSignal;
  onWarning(line: string): void;
}

type OnDisk = Exclude<Place, { kind: 'stream' }>;

/** Where files are put. */
interface Target {
  /** The directory that nothing leaves. */
  readonly root: string;
  /** The directory of the copy, and the name that it gets there; one character a byte. */
  readonly base: string;
  readonly name: string;
}

/**
 * Copies files between a bundle and the host, as `docker cp` does: into a directory that is there,
 * or to a new name. Modes and times are kept. Symbolic links lead nowhere outside of a bundle.
 *
 * @throws Error in one line
 */
export async function copyFiles(from: Place, to: Place, options: CopyOptions): Promise<void> {
  if (from.kind !== 'bundle' && to.kind !== 'bundle')
    throw new Error('neither side is a path in a bundle: want BUNDLE:PATH for one of them');
  if (from.kind === 'stream') {
    await receiveStream(to as OnDisk, options);
    return;
  }
  const source = openSource(from, options.follow);
  try {
    if (to.kind === 'stream') await send(source, options);
    else {
      const target = targetOf(to, source);
      checkApart(source, target, to.text);
      await receive(target, archiveOf(source, target.name, options), options);
    }
  } finally {
    source.close();
  }
}

function archiveOf({ file }: Source, name: string, { onWarning }: CopyOptions) {
  return tarOf(sourceEntries(file, name, onWarning));
}

async function send(source: Source, options: CopyOptions): Promise<void> {
  const output = openOutput('-');
  const name = source.contents ? '' : source.name;
  for (const chunk of archiveOf(source, name, options)) {
    await turn(options.signal);
    output.write(chunk);
  }
  output.finish();
}

async function receiveStream(to: OnDisk, options: CopyOptions): Promise<void> {
  const { root, path, type } = locate(to);
  if (type !== 'directory')
    throw new Error(`${to.text} is no directory: a tar archive is unpacked into one that is there`);
  const input = openInput('-', options.signal);
  await receive({ root, base: path, name: '' }, input.bytes(), options);
}

async function receive(
  { root, base }: Target,
  archive: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: CopyOptions,
): Promise<void> {
  const fd = openDirectory(root);
  const receiver = new Receiver(fd, base, options);
  try {
    const reader = new TarReader(receiver);
    const nameOf = () => receiver.failedName ?? reader.entryName;
    for await (const chunk of archive) {
      await turn(options.signal);
      naming(nameOf, () => reader.push(chunk));
    }
    reader.finish();
    naming(nameOf, () => receiver.finish());
  } finally {
    receiver.close();
    closeSync(fd);
  }
}

/** Signals are heard only between pieces of work. */
async function turn(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}

/** Finds the place of a copy: in a directory that is there, else under the name that is given. */
function targetOf(to: OnDisk, source: Source): Target {
  const { root, path, type } = locate(to);
  const directory = source.file.type === 'directory';
  if (type === 'directory') return { root, base: path, name: source.contents ? '' : source.name };
  if (type === 'other' && directory)
    throw new Error(`${to.text} is not a directory, which a directory could be copied to`);
  if (mustBeDirectory(to.path) && !(type === 'nothing' && directory))
    throw new Error(`cannot write to ${to.text}: there is no such directory`);
  const slash = path.lastIndexOf('/');
  return { root, base: path.slice(0, Math.max(0, slash)), name: path.slice(slash + 1) };
}

/** @throws Error where a directory would be copied into itself, without an end */
function checkApart({ file, path }: Source, { root, base, name }: Target, text: string): void {
  const target = join(realpathSync(root), Buffer.from(join(base, name), 'latin1').toString());
  if (file.type === 'directory' && join(target, '/').startsWith(join(path, '/')))
    throw new Error(`cannot copy to ${text}: it is in the directory that is to be copied`);
}

interface Located {
  readonly root: string;
  /** Below the root, without symbolic links, one character a byte. */
  readonly path: string;
  readonly type: 'directory' | 'other' | 'nothing';
}

function locate(to: OnDisk): Located {
  return to.kind === 'host' ? locateOnHost(to.path) : locateInBundle(to);
}

function locateOnHost(path: string): Located {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) return { root: realpathSync(path), path: '', type: 'directory' };
  const whole = found === undefined ? resolve(path) : realpathSync(path);
  const type = found === undefined ? 'nothing' : 'other';
  return { root: dirname(whole), path: bytes(basename(whole)), type };
}

function locateInBundle({ bundle, path }: Extract<Place, { kind: 'bundle' }>): Located {
  const root = writableRootfs(bundle);
  const tree = new DiskTree(root, { overlay: false, rootless: false });
  try {
    const top = tree.root();
    const found = resolvePath(top, bytes(path));
    const file = findFile(top, found);
    const type = file === undefined ? 'nothing' : 'other';
    return { root, path: found, type: file?.type === 'directory' ? 'directory' : type };
  } finally {
    tree.close();
  }
}

function writableRootfs(bundle: string): string {
  const rootfs = rootfsOf(bundle);
  if (hasRecord(bundle) && readRecord(bundle).how === 'overlay' && !isMounted(rootfs))
    throw new Error(
      `${bundle}: nothing can be written while its root filesystem is not mounted: scow-bundle mount ${bundle}`,
    );
  return rootfs;
}

function openDirectory(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (cause) {
    throw new Error(`cannot write to ${path}: ${reason(cause)}`, { cause });
  }
}
