import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ApplyOptions,
  applyLayers,
  type LayerSource,
} from '../../../../bundle/layers/apply.ts';
import { readTree } from '../../../helpers/tree.ts';

export const TAR = 'application/vnd.oci.image.layer.v1.tar';

/** A layer from bytes, cut into pieces of `step` bytes. */
export function layer(
  blob: Uint8Array,
  fields: Partial<LayerSource> & { step?: number } = {},
): LayerSource {
  const { step = 65536, ...rest } = fields;
  return {
    async *open() {
      for (let i = 0; i < blob.length; i += step) yield blob.subarray(i, i + step);
    },
    mediaType: TAR,
    diffId: diffId(blob),
    describe: 'the layer',
    ...rest,
  };
}

export function diffId(tar: Uint8Array): string {
  return `sha256:${createHash('sha256').update(tar).digest('hex')}`;
}

/** A directory for one test, with an empty root filesystem beside something that must not change. */
export class Place {
  readonly path = mkdtempSync(join(tmpdir(), 'scow-layers-'));
  readonly rootfs = join(this.path, 'rootfs');
  readonly canary = join(this.path, 'canary');

  constructor() {
    mkdirSync(this.rootfs);
    mkdirSync(this.canary);
    writeFileSync(join(this.canary, 'file'), 'untouched');
  }

  apply(layers: readonly Uint8Array[], options: ApplyOptions = {}): Promise<void> {
    const sources = layers.map((tar, i) => layer(tar, { describe: `layer ${i + 1}` }));
    return applyLayers(this.rootfs, sources, options);
  }

  at(name: string): string {
    return join(this.rootfs, name);
  }

  /** The names below the root filesystem. */
  names(): string[] {
    return [...readTree(this.rootfs).keys()].filter((name) => name !== '.');
  }

  /** What is beside the root filesystem, in words. */
  outside(): string {
    const { mode, uid, mtimeMs } = statSync(this.path);
    return JSON.stringify([readdirSync(this.path), mode, uid, mtimeMs, ...readTree(this.canary)]);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
