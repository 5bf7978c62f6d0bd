import { killAll, killContainer } from '../container/kill.ts';
import { parseSignal } from '../container/signals.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

export async function run({ global, flags, positionals }: Input): Promise<number> {
  const [id = '', name = 'TERM'] = positionals;
  const store = storeOf(global);
  const signal = parseSignal(name);
  const kill = (one: string) =>
    flags.has('all') ? killAll(store, one, signal) : killContainer(store, one, signal);
  if (flags.has('regex')) return (await import('./matching.ts')).forEachMatch(store, id, kill);
  kill(id);
  return 0;
}
