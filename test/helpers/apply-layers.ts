/** `bun run apply-layers.ts DIRECTORY LAYERS`: applies layers under Bun (see layers.ts). */
import { applyLayers } from '../../bundle/layers/apply.ts';
import { openBunPort } from '../../runtime/linux/ffi-bun.ts';
import { installPort } from '../../runtime/linux/port.ts';
import { type LayerFile, openLayer } from './layers.ts';

async function main(directory: string, layers: readonly LayerFile[]): Promise<void> {
  installPort(openBunPort);
  try {
    await applyLayers(directory, layers.map(openLayer), {
      onWarning: (line) => console.error(line),
    });
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}

void main(process.argv[2] as string, JSON.parse(process.argv[3] as string));
