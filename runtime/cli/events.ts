import { writeJson } from '../../schemas/write-json.ts';
import { readStatistics } from '../cgroups/statistics.ts';
import { watchCgroup, watchedCgroup } from '../container/watch.ts';
import { print } from '../linux/output.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

export function run({ global, flags, positionals }: Input): undefined {
  const [id = ''] = positionals;
  const interval = milliseconds(flags.text('interval') ?? '5s');
  const path = watchedCgroup(storeOf(global), id);
  const tell = (type: string, data?: object) => print(`${writeJson({ type, id, data })}\n`);
  if (flags.has('stats')) {
    tell('stats', readStatistics(path));
    return;
  }
  watchCgroup(path, interval, {
    onOutOfMemory: () => tell('oom'),
    onInterval: () => tell('stats', readStatistics(path)),
  });
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** As Go writes durations: 500ms, 5s, 1m30s. */
function milliseconds(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const sum = parts.reduce(
    (all, [, count, unit]) => all + Number(count) * (UNITS[unit ?? ''] ?? 0),
    0,
  );
  if (parts.map(([part]) => part).join('') !== text || sum <= 0)
    throw new Error(`--interval ${text}: give a time such as 500ms, 5s or 1m30s`);
  return sum;
}
