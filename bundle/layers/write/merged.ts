import { DiskFile } from './disk-file.ts';

/** A file of an overlay as it is seen through its layers. */
class MergedFile extends DiskFile {
  /** The directories that it shows, uppermost first. */
  readonly #parts: readonly DiskFile[];

  constructor(parts: readonly [DiskFile, ...DiskFile[]]) {
    super(parts[0].access, parts[0].path, parts[0]);
    this.#parts = parts;
  }

  override children(): ReadonlyMap<string, DiskFile> {
    const shown = new Map<string, [DiskFile, ...DiskFile[]]>();
    // Names of which lower layers have nothing to say any more.
    const closed = new Set<string>();
    for (const part of this.#parts) {
      for (const [name, file] of part.children()) {
        if (closed.has(name)) continue;
        const above = shown.get(name);
        if (above === undefined && file.type !== 'whiteout') shown.set(name, [file]);
        else if (file.type === 'directory') above?.push(file);
        if (file.type !== 'directory' || file.opaque) closed.add(name);
      }
    }
    return new Map(
      [...shown]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, parts]) => [name, new MergedFile(parts)]),
    );
  }
}

/**
 * Shows layers as the one tree that an overlay mount of them shows, without mounting it.
 *
 * @param roots the layers' roots, uppermost first, read as layers of an overlay
 */
export function mergeLayers(roots: readonly [DiskFile, ...DiskFile[]]): DiskFile {
  return new MergedFile(roots);
}
