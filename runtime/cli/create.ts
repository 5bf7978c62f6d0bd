import { createContainer } from '../container/create.ts';
import { createOptions } from './create-options.ts';
import type { Input } from './parse.ts';

export function run(input: Input): undefined {
  createContainer(createOptions(input));
}
