import { print } from '../../../runtime/linux/output.ts';
import { openStore } from '../../store/store.ts';
import type { Input } from '../command.ts';

/** Gives an image more names. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const store = openStore(input.text('store'));
  for (const name of input.list('name')) {
    const whole = await store.tag(input.text('image') ?? '', name);
    if (!input.switch('quiet')) print(`${whole}\n`);
  }
  return 0;
}
