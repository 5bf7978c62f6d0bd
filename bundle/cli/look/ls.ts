import { print } from '../../../runtime/linux/output.ts';
import { printable } from '../../layers/names.ts';
import { ImageView, type ViewedFile } from '../../look/view.ts';
import type { Input } from '../command.ts';
import { jsonText, wantsJson } from '../format.ts';
import { placeOf } from './place.ts';
import { withImage } from './with-image.ts';

/** Lists what an image has in a directory. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const json = wantsJson(input);
  const { image, path } = placeOf(input);
  const view = await withImage(input, image, (source, found) => ImageView.of(source, found));
  const bytes = Buffer.from(path).toString('latin1');
  const found = view.find(bytes);
  if (found === undefined) throw new Error(`${path}: there is nothing in the image`);
  const recursive = input.switch('recursive') ?? false;
  const files = found.isDirectory ? [...view.list(bytes, recursive)] : [found];
  if (json) print(jsonText(files.map(fields)));
  else if (input.switch('long')) print(files.map((file) => `${long(file, recursive)}\n`).join(''));
  else print(files.map((file) => `${nameOf(file, recursive)}\n`).join(''));
  return 0;
}

function nameOf({ path }: ViewedFile, whole: boolean): string {
  const name = whole ? path : path.slice(path.lastIndexOf('/') + 1);
  return printable(Buffer.from(name, 'latin1'));
}

const LETTERS: Readonly<Record<string, string>> = {
  directory: 'd',
  'symbolic link': 'l',
  'character device': 'c',
  'block device': 'b',
  FIFO: 'p',
};

/** A line as ls(1) has it, with numbers for owners: names are the image's own. */
function long(file: ViewedFile, whole: boolean): string {
  const { entry, isDirectory } = file;
  const type = isDirectory ? 'directory' : (entry?.type ?? 'file');
  const what = [
    `${LETTERS[type] ?? '-'}${permissions(entry?.mode ?? 0o755)}`,
    String(entry?.uid ?? 0).padStart(5),
    String(entry?.gid ?? 0).padStart(5),
    String(
      type.endsWith('device') ? `${entry?.major}, ${entry?.minor}` : (entry?.size ?? 0),
    ).padStart(10),
    new Date((entry?.mtime.seconds ?? 0) * 1000).toISOString().slice(0, 16).replace('T', ' '),
    nameOf(file, whole),
  ].join(' ');
  return type === 'symbolic link'
    ? `${what} -> ${printable(entry?.linkName ?? Buffer.alloc(0))}`
    : what;
}

/** `rwxr-xr-x`, with s and t. */
function permissions(mode: number): string {
  const letters = [...'rwxrwxrwx'].map((letter, i) => (mode & (0o400 >> i) ? letter : '-'));
  const special = (bit: number, at: number, letter: string) => {
    if (mode & bit) letters[at] = letters[at] === 'x' ? letter : letter.toUpperCase();
  };
  special(0o4000, 2, 's');
  special(0o2000, 5, 's');
  special(0o1000, 8, 't');
  return letters.join('');
}

function fields({ path, entry, layer, isDirectory }: ViewedFile): object {
  return {
    path: Buffer.from(path, 'latin1').toString(),
    type: isDirectory ? 'directory' : entry?.type,
    ...(entry === undefined
      ? {}
      : {
          mode: entry.mode.toString(8).padStart(4, '0'),
          uid: entry.uid,
          gid: entry.gid,
          size: entry.size,
          mtime: new Date(entry.mtime.seconds * 1000).toISOString(),
          ...(entry.linkName.length === 0 ? {} : { target: entry.linkName.toString() }),
          layer: layer + 1,
        }),
  };
}
