import { parseSignal } from '../container/signals.ts';
import { stopContainer } from '../container/stop.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

export function run({ global, flags, positionals }: Input): undefined {
  const [id = ''] = positionals;
  const signal = flags.text('signal');
  stopContainer(storeOf(global), id, {
    milliseconds: milliseconds(flags.text('time') ?? '10'),
    signal: signal === undefined ? undefined : parseSignal(signal),
  });
}

function milliseconds(seconds: string): number {
  if (seconds === '-1') return Infinity;
  if (/^\d{1,9}$/.test(seconds)) return Number(seconds) * 1000;
  throw new Error(`--time ${seconds}: give a number of seconds from 0 up, or -1 to wait for ever`);
}
