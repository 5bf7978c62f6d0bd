import { print } from '../../../runtime/linux/output.ts';
import { diffBundle } from '../../existing/diff.ts';
import type { Input } from '../command.ts';
import { jsonText, wantsJson } from '../format.ts';
import { stoppable } from '../stop.ts';

const LETTERS = { added: 'A', changed: 'C', deleted: 'D' } as const;

/** Lists what changed in a bundle's files. @returns the exit status */
export function run(input: Input): Promise<number> {
  const json = wantsJson(input);
  return stoppable(async (signal) => {
    const changes = await diffBundle(input.text('bundle') ?? '', signal);
    if (json) print(jsonText(changes));
    else print(changes.map(({ kind, path }) => `${LETTERS[kind]} ${path}\n`).join(''));
  });
}
