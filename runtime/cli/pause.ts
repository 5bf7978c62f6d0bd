import { pauseContainer } from '../container/pause.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

export function run({ global, positionals }: Input): undefined {
  const [id = ''] = positionals;
  pauseContainer(storeOf(global), id);
}
