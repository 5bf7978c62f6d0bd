import { readFileSync } from 'node:fs';
import type { Resources } from '../../schemas/resources-config.ts';
import { formatViolations, parseJson, validateRuntimeConfig } from '../../schemas/validate.ts';
import { type Change, updateContainer } from '../container/update.ts';
import { reason } from '../linux/reason.ts';
import type { Flags, Input } from './parse.ts';
import { storeOf } from './root.ts';

export async function run({ global, flags, positionals }: Input): Promise<undefined> {
  const [id = ''] = positionals;
  const file = flags.text('resources');
  const rdt = schemata(flags);
  const given = file === undefined ? ofFlags(flags) : ofFile(file);
  if (rdt === undefined && file === undefined && Object.keys(given as object).length === 0)
    throw new Error(
      'there is nothing to update: give a flag with a limit (see scow update --help)',
    );
  const resources = checked(given, file === undefined ? 'the command line' : name(file));
  await updateContainer(storeOf(global), id, { resources, ...(rdt && { rdt }) });
}

function schemata(flags: Flags): Change['rdt'] {
  const l3CacheSchema = flags.text('l3-cache-schema');
  const memBwSchema = flags.text('mem-bw-schema');
  if (!l3CacheSchema && !memBwSchema) return undefined;
  return { ...(l3CacheSchema && { l3CacheSchema }), ...(memBwSchema && { memBwSchema }) };
}

function name(file: string): string {
  return file === '-' ? 'standard input' : file;
}

function ofFile(file: string): unknown {
  try {
    return parseJson(readFileSync(file === '-' ? 0 : file, 'utf8'), name(file));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === undefined) throw cause;
    throw new Error(`cannot read ${name(file)}: ${reason(cause)}`, { cause });
  }
}

/** By the rules for config.json, where the pointers of what is wrong lead too. */
function checked(resources: unknown, where: string): Resources {
  const violations = validateRuntimeConfig({ ociVersion: '1.3.0', linux: { resources } });
  const own = violations.filter(({ pointer }) => pointer.startsWith('/linux/resources'));
  if (own.length > 0) throw new Error(formatViolations(where, own));
  return resources as Resources;
}

type Reader = (text: string) => number | bigint | string | undefined;

/** Which field each flag sets, and how its value is read. */
const FIELDS: Readonly<Record<string, readonly [part: string, field: string, read: Reader]>> = {
  'blkio-weight': ['blockIO', 'weight', integer],
  'cpu-burst': ['cpu', 'burst', integer],
  'cpu-idle': ['cpu', 'idle', integer],
  'cpu-period': ['cpu', 'period', integer],
  'cpu-quota': ['cpu', 'quota', integer],
  'cpu-rt-period': ['cpu', 'realtimePeriod', integer],
  'cpu-rt-runtime': ['cpu', 'realtimeRuntime', integer],
  'cpu-share': ['cpu', 'shares', integer],
  'cpuset-cpus': ['cpu', 'cpus', (text) => text],
  'cpuset-mems': ['cpu', 'mems', (text) => text],
  'kernel-memory': ['memory', 'kernel', bytes],
  'kernel-memory-tcp': ['memory', 'kernelTCP', bytes],
  memory: ['memory', 'limit', bytes],
  'memory-reservation': ['memory', 'reservation', bytes],
  'memory-swap': ['memory', 'swap', bytes],
  'pids-limit': ['pids', 'limit', integer],
};

function ofFlags(flags: Flags): Record<string, Record<string, unknown>> {
  const resources: Record<string, Record<string, unknown>> = {};
  for (const [flag, [part, field, read]] of Object.entries(FIELDS)) {
    const text = flags.text(flag);
    if (text === undefined) continue;
    const value = read(text);
    if (value === undefined)
      throw new Error(
        `--${flag} ${text}: give an integer${read === bytes ? ', which may end with k, m, g or t' : ''}`,
      );
    resources[part] = { ...resources[part], [field]: value };
  }
  return resources;
}

function integer(text: string): number | bigint | undefined {
  if (!/^-?\d{1,20}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

const UNITS = 'kmgtp';

/** Bytes; with a unit, as engines write them: 512m, 1.5GiB. Units are powers of 1024. */
function bytes(text: string): number | bigint | undefined {
  const found = /^(\d{1,15}(?:\.\d{1,9})?) ?([kmgtp])i?b?$/i.exec(text);
  if (found === null) return integer(text.replace(/b$/i, ''));
  const [, number = '', unit = ''] = found;
  return Math.floor(Number(number) * 1024 ** (UNITS.indexOf(unit.toLowerCase()) + 1));
}
