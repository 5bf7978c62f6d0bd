import { refuseInUse } from '../../existing/in-use.ts';
import { unmountBundle } from '../../existing/mount.ts';
import { bundlePath, readRecord } from '../../existing/record.ts';
import type { Input } from '../command.ts';

/** Takes the mounts of bundles' root filesystems away. @returns the exit status */
export async function run(input: Input): Promise<number> {
  for (const bundle of input.list('bundle')) {
    readRecord(bundle);
    const path = bundlePath(bundle);
    if (!input.switch('force')) refuseInUse(path, input.text('root'));
    unmountBundle(path);
  }
  return 0;
}
