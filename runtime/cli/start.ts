import { startContainer } from '../container/start.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

export async function run({ global, positionals }: Input): Promise<undefined> {
  const [id = ''] = positionals;
  await startContainer(storeOf(global), id);
}
