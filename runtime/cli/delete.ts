import { deleteContainer, forceDeleteContainer } from '../container/delete.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

export async function run({ global, flags, positionals }: Input): Promise<number> {
  const [id = ''] = positionals;
  const store = storeOf(global);
  const remove = (one: string) =>
    flags.has('force') ? forceDeleteContainer(store, one) : deleteContainer(store, one);
  if (flags.has('regex')) return (await import('./matching.ts')).forEachMatch(store, id, remove);
  await remove(id);
  return 0;
}
