import { print } from '../linux/output.ts';
import type { Input } from './parse.ts';
import { reportOn } from './report.ts';
import { storeOf } from './root.ts';

export function run({ global, positionals }: Input): undefined {
  const [id = ''] = positionals;
  // runc leaves the owner empty here, and names it in the list.
  const report = reportOn(storeOf(global), id, () => '');
  print(JSON.stringify(report, null, 2));
}
