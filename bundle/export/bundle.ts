import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { openBundleFiles, readBundleConfig } from '../existing/files.ts';
import { hasRecord, readRecord } from '../existing/record.ts';
import type { OutputFile } from '../files/output-file.ts';
import { sourceDateEpoch } from '../image/epoch.ts';
import { tarOf, treeEntries } from '../layers/write/archive.ts';
import type { DiskFile } from '../layers/write/disk-file.ts';
import { DiskTree } from '../layers/write/disk-tree.ts';

/** How an archive of files is written. */
export interface ExportOptions {
  /** Stops the work, which then fails with the signal's reason. */
  readonly signal: AbortSignal;
  onWarning(line: string): void;
}

/**
 * Writes all files of a bundle's root filesystem, as its container sees them, as one tar archive.
 *
 * @throws Error in one line: also for a file that is written to while it is read
 */
export async function exportBundle(
  bundle: string,
  output: OutputFile,
  options: ExportOptions,
): Promise<void> {
  if (!hasRecord(bundle)) {
    await exportRootfs(resolve(bundle, readBundleConfig(bundle).root?.path ?? ''), output, options);
    return;
  }
  const files = openBundleFiles(bundle, readRecord(bundle));
  try {
    await exportTree(files.root, output, options);
  } finally {
    files.close();
  }
}

async function exportRootfs(
  rootfs: string,
  output: OutputFile,
  options: ExportOptions,
): Promise<void> {
  const tree = new DiskTree(existsSync(rootfs) ? realpathSync(rootfs) : rootfs, {
    overlay: false,
    rootless: false,
  });
  try {
    await exportTree(tree.root(), output, options);
  } finally {
    tree.close();
  }
}

/** Writes a tree as one tar archive. @throws Error in one line */
export async function exportTree(
  root: DiskFile,
  output: OutputFile,
  { signal, onWarning }: ExportOptions,
): Promise<void> {
  for (const chunk of tarOf(treeEntries(root, { latest: sourceDateEpoch(), onWarning }))) {
    // Signals are heard only between pieces of work.
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    output.write(chunk);
  }
  output.finish();
}
