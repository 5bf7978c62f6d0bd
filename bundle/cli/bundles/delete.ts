import { deleteBundle } from '../../delete.ts';
import type { Input } from '../command.ts';
import { writeMessage } from '../output.ts';

/** Removes bundles; one that cannot be removed does not keep the others. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const force = input.switch('force') ?? false;
  let status = 0;
  for (const bundle of input.list('bundle')) {
    try {
      deleteBundle(bundle, { force, root: input.text('root') });
    } catch (error) {
      writeMessage((error as Error).message);
      status = 1;
    }
  }
  return status;
}
