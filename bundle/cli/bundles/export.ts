import { isBundle } from '../../existing/record.ts';
import { exportBundle } from '../../export/bundle.ts';
import { exportImage } from '../../export/image.ts';
import { openOutput } from '../../files/output-file.ts';
import { openStore } from '../../store/store.ts';
import type { Input } from '../command.ts';
import { writeMessage } from '../output.ts';
import { stoppable } from '../stop.ts';

/** Writes a bundle's files as one archive. @returns the exit status */
export function run(input: Input): Promise<number> {
  return stoppable(async (signal) => {
    const source = input.text('bundle') ?? '';
    const onWarning = (line: string) => writeMessage(`warning: ${line}`);
    const output = openOutput(input.text('output'));
    try {
      if (isBundle(source)) await exportBundle(source, output, { signal, onWarning });
      else {
        const store = openStore(input.text('store'));
        await exportImage(store, source, output, { signal, onWarning });
      }
    } finally {
      output.close();
    }
  });
}
