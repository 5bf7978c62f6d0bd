import { copyFiles } from '../../cp/copy.ts';
import { parsePlace } from '../../cp/place.ts';
import type { Input } from '../command.ts';
import { writeMessage } from '../output.ts';
import { stoppable } from '../stop.ts';

/** Copies files between a bundle and the host. @returns the exit status */
export function run(input: Input): Promise<number> {
  return stoppable(async (signal) => {
    const from = parsePlace(input.text('source') ?? '');
    const to = parsePlace(input.text('destination') ?? '');
    await copyFiles(from, to, {
      archive: input.switch('archive') ?? false,
      follow: input.switch('follow-link') ?? false,
      signal,
      onWarning: (line) => writeMessage(`warning: ${line}`),
    });
  });
}
