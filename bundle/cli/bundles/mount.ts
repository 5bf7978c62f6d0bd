import { join } from 'node:path';
import { print } from '../../../runtime/linux/output.ts';
import { mountBundle } from '../../existing/mount.ts';
import { bundlePath, readRecord } from '../../existing/record.ts';
import type { Input } from '../command.ts';

/** Mounts the root filesystem of a bundle, and prints where it is. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const bundle = input.text('bundle') ?? '';
  const record = readRecord(bundle);
  const path = bundlePath(bundle);
  if (record.how === 'overlay') mountBundle(path, record);
  print(`${join(path, 'rootfs')}\n`);
  return 0;
}
