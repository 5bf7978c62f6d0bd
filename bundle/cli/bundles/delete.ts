import { print } from '../../../runtime/linux/output.ts';
import { deleteBundle } from '../../existing/delete.ts';
import { endContainers, refuseInUse } from '../../existing/in-use.ts';
import { bundlePath, hasRecord } from '../../existing/record.ts';
import type { Input } from '../command.ts';
import { plain, writeMessage } from '../output.ts';

/** Ends what runs from the bundles, or refuses to go on. */
export function before(input: Input): void {
  const root = input.text('root');
  for (const bundle of input.list('bundle').filter(hasRecord)) {
    const path = bundlePath(bundle);
    if (!input.switch('force')) refuseInUse(path, root);
    else if (!input.switch('dry-run')) endContainers(path, root);
  }
}

/** Removes bundles; one that cannot be removed does not keep the others. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const force = input.switch('force') ?? false;
  const dryRun = input.switch('dry-run') ?? false;
  let status = 0;
  for (const bundle of input.list('bundle')) {
    try {
      const path = deleteBundle(bundle, { force, dryRun, root: input.text('root') });
      if (dryRun) print(`would be deleted: ${plain(path)}\n`);
    } catch (error) {
      writeMessage((error as Error).message);
      status = 1;
    }
  }
  return status;
}
