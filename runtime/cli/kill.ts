import { killAll, killContainer } from '../container/kill.ts';
import { parseSignal } from '../container/signals.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

export function run({ global, flags, positionals }: Input): undefined {
  const [id = '', signal = 'TERM'] = positionals;
  const kill = flags.has('all') ? killAll : killContainer;
  kill(storeOf(global), id, parseSignal(signal));
}
