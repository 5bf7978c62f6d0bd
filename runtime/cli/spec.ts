import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultConfig, rootlessConfig } from '../../schemas/default-config.ts';
import { reason } from '../linux/reason.ts';
import type { Input } from './parse.ts';

export function run({ flags }: Input): undefined {
  const file = join(flags.text('bundle') ?? '.', 'config.json');
  const base = defaultConfig();
  const config = flags.has('rootless') ? rootlessConfig(base, ...effectiveIds()) : base;
  try {
    writeFileSync(file, `${JSON.stringify(config, null, '\t')}\n`, { flag: 'wx' });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new Error(`${file} exists: remove it first`, { cause });
    throw new Error(`cannot write ${file}: ${reason(cause)}`, { cause });
  }
}

function effectiveIds(): [uid: number, gid: number] {
  return [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
}
