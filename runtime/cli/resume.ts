import { resumeContainer } from '../container/pause.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

export function run({ global, positionals }: Input): undefined {
  const [id = ''] = positionals;
  resumeContainer(storeOf(global), id);
}
