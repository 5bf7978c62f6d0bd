import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import type { Descriptor, Index } from '../../schemas/image.ts';
import { formatViolations, parseJson, validateIndex } from '../../schemas/validate-image.ts';
import { replaceFile } from '../files/replace-file.ts';
import { REF_NAME } from '../image/reference.ts';
import { STORE } from './files.ts';

/** What a full disk, or a quota, answers. */
const FULL = ['ENOSPC', 'EDQUOT'];

/** Bytes that the reserve has beyond the size of the list of images. */
const SPARE = 8192;

/** An entry of the store's `index.json`: an image, and its name if it has one. */
export interface Reference {
  /** Such as `docker.io/library/alpine:3.20`; undefined for an image without a name. */
  readonly name: string | undefined;
  readonly descriptor: Descriptor;
}

/** The images of the store, in the order of its index; none where there is no store yet. */
export function readReferences(store: string): Reference[] {
  return readIndexFile(store).manifests.map((descriptor) => ({
    name: descriptor.annotations?.[REF_NAME],
    descriptor,
  }));
}

/** @throws Error in one line when it is damaged */
function readIndexFile(store: string): Index {
  const file = join(store, STORE.index);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { schemaVersion: 2, manifests: [] };
    throw new Error(`cannot read ${file}: ${reason(error)}`, { cause: error });
  }
  const index = parseJson(text, file);
  const violations = validateIndex(index);
  if (violations.length > 0) throw new Error(formatViolations(file, violations));
  return index as unknown as Index;
}

/**
 * Changes the list of images. The caller holds the store's lock, exclusive.
 *
 * @throws Error of node:fs; the list is as it was then
 */
export function writeReferences(store: string, references: readonly Reference[]): void {
  const manifests = references.map(entryOf);
  const index: Index = { ...readIndexFile(store), manifests };
  const text = JSON.stringify(index);
  const replace = () =>
    replaceFile(join(store, STORE.index), join(store, STORE.temporary, STORE.index), text);
  const reserve = join(store, STORE.reserve);
  try {
    replace();
  } catch (error) {
    if (!FULL.includes(codeOf(error) ?? '')) throw error;
    rmSync(reserve, { force: true });
    replace();
  }
  keepReserve(reserve, text.length);
}

/** Keeps some of the disk, so that an image can be removed when all the rest is full. */
function keepReserve(file: string, length: number): void {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) >= length + SPARE) return;
  try {
    writeFileSync(file, Buffer.alloc(2 * (length + SPARE)), { mode: 0o600 });
  } catch (error) {
    if (!FULL.includes(codeOf(error) ?? '')) throw error;
  }
}

/**
 * The list with one more name, which no other image has then. An image that loses its last name
 * so stays, without one.
 */
export function withReference(
  references: readonly Reference[],
  { name, descriptor }: Reference,
): Reference[] {
  const renamed = references.map((one) =>
    name !== undefined && one.name === name ? { ...one, name: undefined } : one,
  );
  return withoutIdle([...renamed, { name, descriptor }]);
}

/** Drops entries without a name of images that have one, and what is there twice. */
export function withoutIdle(references: readonly Reference[]): Reference[] {
  const named = new Set(references.flatMap((one) => (one.name ? one.descriptor.digest : [])));
  const seen = new Set<string>();
  return references.filter(({ name, descriptor: { digest } }) => {
    if (name !== undefined) return true;
    const idle = named.has(digest) || seen.has(digest);
    seen.add(digest);
    return !idle;
  });
}

/** A descriptor for the index: what another place said of its own names is left behind. */
function entryOf({ name, descriptor }: Reference): Descriptor {
  const { annotations = {}, data: _, ...rest } = descriptor;
  const { [REF_NAME]: _old, 'io.containerd.image.name': _theirs, ...others } = annotations;
  const all = name === undefined ? others : { ...others, [REF_NAME]: name };
  return Object.keys(all).length === 0 ? rest : { ...rest, annotations: all };
}
