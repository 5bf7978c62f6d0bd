import { spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { LayerSource } from '../../bundle/layers/apply.ts';

/** A layer as a file. */
export interface LayerFile {
  readonly path: string;
  readonly mediaType: string;
  readonly diffId: string;
  readonly describe: string;
}

export function openLayer({ path, ...rest }: LayerFile): LayerSource {
  return { ...rest, open: () => createReadStream(path, { highWaterMark: 256 * 1024 }) };
}

/**
 * Applies layers under Bun, in a process of its own.
 *
 * @param wrapper a command that runs another
 * @returns its exit status, and what it said: warnings and the error, in lines
 */
export function applyUnderBun(
  rootfs: string,
  layers: readonly LayerFile[],
  wrapper: readonly string[] = [],
): { status: number | null; said: string } {
  const bun = join(process.cwd(), 'node_modules/.bin/bun');
  const script = join(process.cwd(), 'test/helpers/apply-layers.ts');
  const [command, ...args] = [...wrapper, bun, 'run', script, rootfs, JSON.stringify(layers)];
  const { status, stderr } = spawnSync(command as string, args, { encoding: 'utf8' });
  return { status, said: stderr };
}
