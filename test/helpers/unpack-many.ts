/** `bun run unpack-many.ts FILE`: unpacks images under Bun, one after another (see hostile.ts). */
import { readFileSync } from 'node:fs';
import { openBunPort } from '../../runtime/linux/ffi-bun.ts';
import { installPort } from '../../runtime/linux/port.ts';
import { type Job, unpackAll } from './hostile.ts';

async function main(jobs: readonly Job[]): Promise<void> {
  installPort(openBunPort);
  console.log(JSON.stringify(await unpackAll(jobs)));
}

void main(JSON.parse(readFileSync(process.argv[2] as string, 'utf8')));
