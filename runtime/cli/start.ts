import { startContainer } from '../container/start.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

export function run({ global, positionals }: Input): undefined {
  const [id = ''] = positionals;
  startContainer(storeOf(global), id);
}
