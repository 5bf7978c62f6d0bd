import { processesOf } from '../container/processes.ts';
import { print } from '../linux/output.ts';
import { codeOf, reason } from '../linux/reason.ts';
import type { Input } from './parse.ts';
import { storeOf } from './root.ts';

/** Bytes of output: some hundred thousand processes with long command lines. */
const MOST_OUTPUT = 1 << 28;

/** Columns whose fields have spaces: behind one, a field is found by its place in the line only. */
const SPACED = /\b(CMD|COMMAND|STARTED)\b/;

export async function run({ global, flags, positionals }: Input): Promise<undefined> {
  const [id = '', ...options] = positionals;
  const pids = processesOf(storeOf(global).read(id));
  if (flags.text('format') === 'json') {
    // An engine written in Go reads its own empty list as null.
    print(`${JSON.stringify(pids.length === 0 ? null : pids)}\n`);
  } else {
    const table = await outputOfPs(options.length === 0 ? ['-ef'] : options);
    print(linesOf(table, new Set(pids)));
  }
}

/** @throws Error in one line with what ps(1) itself says */
async function outputOfPs(options: readonly string[]): Promise<string> {
  const { spawnSync } = await import('node:child_process');
  const { status, signal, stdout, stderr, error } = spawnSync('ps', options, {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: MOST_OUTPUT,
  });
  if (codeOf(error) === 'ENOENT')
    throw new Error(
      'ps(1) is missing: install procps (Debian) or procps-ng (Fedora), or use --format json',
    );
  if (error !== undefined) throw new Error(`cannot run ps(1): ${reason(error)}`, { cause: error });
  if (status !== 0) {
    const said = stderr.split('\n').find((line) => line.trim() !== '') ?? '';
    throw new Error(`ps ${options.join(' ')} failed (${signal ?? `status ${status}`}): ${said}`);
  }
  return stdout;
}

/**
 * The head of ps(1)'s table and the lines of some processes.
 *
 * @throws Error in one line when there is no column with the PID
 */
function linesOf(table: string, pids: ReadonlySet<number>): string {
  const [head = '', ...lines] = table.split('\n').filter((line) => line !== '');
  const column = head.trim().split(/\s+/).indexOf('PID');
  if (column === -1)
    throw new Error(
      'ps(1) shows no column PID, by which processes are told apart: add it, as in -o pid,args',
    );
  const end = head.search(/\bPID\b/) + 'PID'.length;
  const pidIn = SPACED.test(head.slice(0, end))
    ? (line: string) => /\d+$/.exec(line.slice(0, end))?.[0]
    : (line: string) => line.trim().split(/\s+/)[column];
  const own = lines.filter((line) => pids.has(Number(pidIn(line))));
  return [head, ...own].map((line) => `${line}\n`).join('');
}
