import { deleteContainer, forceDeleteContainer } from '../container/delete.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

export function run({ global, flags, positionals }: Input): undefined {
  const [id = ''] = positionals;
  const remove = flags.has('force') ? forceDeleteContainer : deleteContainer;
  remove(storeOf(global), id);
}
