import { displayPath } from '../layers/write/disk-file.ts';
import { changesOfBundle, openBundleFiles, openBundleImage } from './files.ts';
import { readRecord } from './record.ts';

/** A change of a bundle's files, as people and programs are told of it. */
export interface FileChange {
  readonly kind: 'added' | 'changed' | 'deleted';
  /** Absolute in the container. */
  readonly path: string;
}

/**
 * Lists what a bundle's container has changed of its image. A directory in which something changed
 * counts as changed, but for the root.
 *
 * @returns changes by the bytes of their paths
 * @throws Error in one line
 */
export async function diffBundle(bundle: string, signal: AbortSignal): Promise<FileChange[]> {
  const record = readRecord(bundle);
  const base = await openBundleImage(bundle, record);
  try {
    const files = openBundleFiles(bundle, record);
    try {
      const changes = await changesOfBundle(bundle, record, base, files, signal);
      return changes
        .toSorted((a, b) => (a.path < b.path ? -1 : 1))
        .flatMap(({ kind, path, parent }) =>
          kind === 'linked' || (path === '' && parent) ? [] : { kind, path: displayPath(path) },
        );
    } finally {
      files.close();
    }
  } finally {
    base.source.close();
  }
}
