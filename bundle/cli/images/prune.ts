import { prune } from '../../store/remove.ts';
import { openStore } from '../../store/store.ts';
import type { Input } from '../command.ts';
import { wantsJson } from '../format.ts';
import { printRemoval } from './removal.ts';

/** Removes what nobody uses. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const json = wantsJson(input);
  const dryRun = input.switch('dry-run') ?? false;
  const store = openStore(input.text('store'));
  printRemoval(await prune(store, { all: input.switch('all') ?? false, dryRun }), json, dryRun);
  return 0;
}
