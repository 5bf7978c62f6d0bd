import { readFileSync } from 'node:fs';
import { warn } from '../container/log.ts';
import type { ContainerStore } from '../container/store.ts';
import { print } from '../linux/output.ts';
import type { Input } from './parse.ts';
import { type Report, reportOn } from './report.ts';
import { storeOf } from './root.ts';

export function run({ global, flags }: Input): undefined {
  const store = storeOf(global);
  const reports = reportOnAll(store);
  if (flags.has('quiet')) print(reports.map(({ id }) => `${id}\n`).join(''));
  // An engine written in Go reads its own empty list as null.
  else if (flags.text('format') === 'json')
    print(`${JSON.stringify(reports.length === 0 ? null : reports)}\n`);
  else print(table(reports));
}

/** One container whose state cannot be read must not hide the others. */
function reportOnAll(store: ContainerStore): Report[] {
  const names = userNames();
  return store.list().flatMap((id) => {
    try {
      return [reportOn(store, id, (uid) => names.get(uid) ?? `#${uid}`)];
    } catch (error) {
      warn(`container ${JSON.stringify(id)} is left out: ${(error as Error).message}`);
      return [];
    }
  });
}

function userNames(): Map<number, string> {
  const names = new Map<number, string>();
  let passwd = '';
  try {
    passwd = readFileSync('/etc/passwd', 'utf8');
  } catch {
    // Without the file users have numbers only.
  }
  for (const line of passwd.split('\n')) {
    const [name, , uid] = line.split(':');
    if (name && uid && !names.has(Number(uid))) names.set(Number(uid), name);
  }
  return names;
}

/** Columns as scripts that read runc's table know them: 12 wide at least, 3 spaces apart. */
function table(reports: readonly Report[]): string {
  const rows = [
    ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'],
    ...reports.map(({ id, pid, status, bundle, created, owner }) => [
      id,
      String(pid),
      status,
      bundle,
      created,
      owner,
    ]),
  ];
  const length = (text: string) => [...text].length;
  const widths = rows[0]?.map((_, column) =>
    Math.max(12, ...rows.map((row) => length(row[column] ?? '') + 3)),
  );
  const pad = (text: string, column: number, row: readonly string[]) =>
    column === row.length - 1 ? text : text + ' '.repeat((widths?.[column] ?? 0) - length(text));
  return rows.map((row) => `${row.map(pad).join('')}\n`).join('');
}
