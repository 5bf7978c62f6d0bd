import { parsePacking } from '../layers/write/compress.ts';
import type { MakeOptions } from '../new-image/publish.ts';
import type { Flag, Input } from './command.ts';
import { writeMessage } from './output.ts';
import type { Counter } from './progress.ts';

const CHANGE: Flag = {
  name: 'change',
  short: 'c',
  value: 'INSTRUCTION',
  about:
    'apply an instruction of Dockerfiles to the configuration: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR',
  repeated: true,
};
const MESSAGE: Flag = {
  name: 'message',
  short: 'm',
  value: 'TEXT',
  about: "a comment on this step in the image's history",
};
const AUTHOR: Flag = { name: 'author', short: 'a', value: 'NAME', about: "the image's author" };

/** What may be said of an image that is made. */
export const REMARKS: readonly Flag[] = [AUTHOR, CHANGE, MESSAGE];

/** How a layer is packed. */
export const PACKING: readonly Flag[] = [
  {
    name: 'compress',
    value: 'gzip|zstd|none',
    about: 'how the layer is compressed; "gzip" by default',
  },
  {
    name: 'level',
    value: 'N',
    about: 'how hard to try: 0 to 9 for gzip (6 by default), 1 to 19 for zstd (3 by default)',
  },
];

/**
 * Reads the flags of `REMARKS` and `PACKING`.
 *
 * @param counter shows how much of the layer there is
 * @throws Error in one line for values that make no sense
 */
export function makeOptions(input: Input, signal: AbortSignal, counter: Counter): MakeOptions {
  return {
    author: input.text('author'),
    message: input.text('message'),
    changes: input.list('change'),
    packing: parsePacking(input.text('compress'), input.text('level')),
    signal,
    onProgress: counter.progress,
    onWarning(line) {
      counter.clear();
      writeMessage(`warning: ${line}`);
    },
  };
}
