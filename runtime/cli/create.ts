import { createContainer } from '../container/create.ts';
import { createOptions } from './create-options.ts';
import type { Input } from './parse.ts';

export async function run(input: Input): Promise<undefined> {
  await createContainer(await createOptions(input));
}
