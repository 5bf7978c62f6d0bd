import { removeImages } from '../../store/remove.ts';
import { openStore } from '../../store/store.ts';
import type { Input } from '../command.ts';
import { wantsJson } from '../format.ts';
import { printRemoval } from './removal.ts';

/** Takes names away, and images with their last one. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const json = wantsJson(input);
  const dryRun = input.switch('dry-run') ?? false;
  const force = input.switch('force') ?? false;
  const store = openStore(input.text('store'));
  printRemoval(await removeImages(store, input.list('image'), { force, dryRun }), json, dryRun);
  return 0;
}
