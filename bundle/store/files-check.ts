import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reason } from '../../runtime/linux/reason.ts';
import type { Descriptor, Index } from '../../schemas/image.ts';
import { formatViolations, parseJson, validateLayout } from '../../schemas/validate-image.ts';
import { replaceFile } from '../files/replace-file.ts';
import { blobFile, STORE } from './files.ts';
import { readReferences } from './index-file.ts';
import { type Problem, problemOf } from './problem.ts';
import { documentOf } from './reach.ts';
import { contentOf } from './sweep.ts';

const MARKER = '{"imageLayoutVersion":"1.0.0"}';

/**
 * Checks `oci-layout` and `index.json`.
 *
 * @param damaged digests of blobs that are not to be relied on
 * @param repair whether to make anew what is damaged. The index gets the images that are found,
 *   without their names
 */
export function checkFiles(
  store: string,
  damaged: ReadonlySet<string>,
  repair: boolean,
): Problem[] {
  const checks = [
    { what: STORE.marker, read: () => readMarker(store), text: () => MARKER, remedy: 'made anew' },
    {
      what: STORE.index,
      read: () => readReferences(store),
      text: () => JSON.stringify(rebuiltIndex(store, damaged)),
      remedy: 'made anew of the images that were found; their names are lost',
    },
  ];
  return checks.flatMap(({ what, read, text, remedy }) => {
    try {
      read();
      return [];
    } catch (error) {
      if (repair) replaceFile(join(store, what), join(store, STORE.temporary, STORE.index), text());
      return [problemOf('file', what, reason(error), remedy, repair)];
    }
  });
}

function readMarker(store: string): void {
  const file = join(store, STORE.marker);
  const violations = validateLayout(parseJson(readFileSync(file, 'utf8'), file));
  if (violations.length > 0) throw new Error(formatViolations(file, violations));
}

/** All manifests and indexes that no other index lists. */
function rebuiltIndex(store: string, damaged: ReadonlySet<string>): Index {
  const documents = [...contentOf(store).blobs]
    .filter((digest) => !damaged.has(digest))
    .flatMap((digest) => documentOf(store, digest) ?? []);
  const listed = new Set(documents.flatMap((document) => childrenOf(store, document)));
  return {
    schemaVersion: 2,
    manifests: documents.filter(({ digest }) => !listed.has(digest)),
  };
}

function childrenOf(store: string, { digest }: Descriptor): string[] {
  const { manifests } = JSON.parse(readFileSync(blobFile(store, digest), 'utf8')) as Partial<Index>;
  return manifests?.map((child) => child.digest) ?? [];
}
