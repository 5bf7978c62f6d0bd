/**
 * Names in archives are bytes. As components of paths they are kept as strings with one
 * character a byte (latin1), which is exact, small, and fit to be a key.
 */

/** What whiteouts begin with (image-spec, layer.md: Whiteouts). */
export const WHITEOUT = '.wh.';
/** The name that hides all that lower layers have in a directory (layer.md: Opaque Whiteout). */
export const OPAQUE = '.wh..wh..opq';
/** Bookkeeping of aufs, left in layers that Docker made on it. It is no content of theirs. */
export const AUFS = '.wh..wh.';

/** The longest path that the kernel takes, in bytes, without the NUL at its end. */
export const PATH_LIMIT = 4095;

/** Splits the target of a symbolic link; `..` is kept, since it depends on what is before it. */
export function targetComponents(target: string): string[] {
  return target.split('/').filter((component) => component !== '' && component !== '.');
}

/**
 * Splits the name of an entry into the components of a path below the root: an absolute name
 * counts from the root, and `..` takes the component before it away, or nothing at the root.
 */
export function entryComponents(name: Uint8Array): string[] {
  const cleaned: string[] = [];
  for (const component of latin1(name).split('/')) {
    if (component === '..') cleaned.pop();
    else if (component !== '' && component !== '.') cleaned.push(component);
  }
  return cleaned;
}

/** Bytes as a string with one character a byte. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\]/gu;
const NOT_ASCII = /[^ -[\]-~]/g;

/** Bytes as one line of text that a terminal can't take as a command, nor a reader as another. */
export function printable(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return text.replace(INVISIBLE, (character) =>
      character === '\\' ? '\\\\' : `\\u{${character.codePointAt(0)?.toString(16)}}`,
    );
  } catch {
    return latin1(bytes).replace(NOT_ASCII, (character) =>
      character === '\\' ? '\\\\' : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
    );
  }
}
