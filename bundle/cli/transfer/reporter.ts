import { isatty } from 'node:tty';
import { STDERR, STDOUT } from '../../../runtime/linux/output.ts';
import type { CopiedBlob, CopyObserver, CopyResult } from '../../transfer/copy.ts';
import { isReady, tell, writeEvent, writeFailure } from '../output.ts';
import { bar, columns, size, throttle } from '../progress.ts';

/** Shows a copy to people, or reports it to a program. */
export interface CopyReporter extends CopyObserver {
  /** It succeeded. @param name where the image is now */
  end(name: string, result: CopyResult): void;
  /** It failed; the line on standard error is not this reporter's business. */
  failed(message: string): void;
}

/** The reporter that suits: bars on a terminal, a line for each blob elsewhere. */
export function copyReporter(options: { json: boolean; quiet: boolean }): CopyReporter {
  if (options.json) return jsonReporter();
  if (options.quiet) return quietReporter();
  return isatty(STDERR) ? barReporter() : lineReporter();
}

function jsonReporter(): CopyReporter {
  const due = throttle();
  return {
    begin: (blobs) => writeEvent({ event: 'begin', blobs: blobs.map(plain) }),
    progress(blob, bytes) {
      if ((due() || bytes === blob.size) && isReady(STDOUT))
        writeEvent({ event: 'progress', digest: blob.digest, bytes, total: blob.size });
    },
    done: (blob, how) => writeEvent({ event: how, ...plain(blob) }),
    end(name, { descriptor, original }) {
      const { mediaType, digest } = descriptor;
      const converted = digest === original ? {} : { original };
      writeEvent({ event: 'end', name, digest, mediaType, ...converted });
    },
    failed: writeFailure,
  };
}

function plain({ digest, size: bytes, what }: CopiedBlob): object {
  return { digest, size: bytes, what };
}

function quietReporter(): CopyReporter {
  return { begin() {}, progress() {}, done() {}, end() {}, failed() {} };
}

function lineReporter(): CopyReporter {
  return {
    ...quietReporter(),
    done: (blob, how) => tell(`${doneLine(blob, how)}\n`),
    end: (name, result) => tell(`${endLine(name, result)}\n`),
  };
}

/** What is done scrolls away; below it a bar for each blob that is under way. */
function barReporter(): CopyReporter {
  const active = new Map<CopiedBlob, number>();
  const due = throttle();
  let drawn = 0;
  const clear = () => {
    const up = drawn === 0 ? '' : `\x1b[${drawn}A`;
    drawn = 0;
    return `\r${up}\x1b[J`;
  };
  const draw = () => {
    const width = columns();
    const bars = [...active].map(
      ([{ what, size: total }, bytes]) => `${bar(what.padEnd(16), bytes, total, width)}\n`,
    );
    const text = clear() + bars.join('');
    drawn = bars.length;
    tell(text);
  };
  return {
    begin() {},
    progress(blob, bytes) {
      active.set(blob, bytes);
      if (due() && isReady(STDERR)) draw();
    },
    done(blob, how) {
      active.delete(blob);
      tell(`${clear()}${doneLine(blob, how)}\n`);
      draw();
    },
    end: (name, result) => tell(`${clear()}${endLine(name, result)}\n`),
    failed: () => tell(clear()),
  };
}

function doneLine({ what, digest, size: bytes }: CopiedBlob, how: 'copied' | 'present'): string {
  const id = digest.slice(digest.indexOf(':') + 1).slice(0, 12);
  return `${what} ${id}: ${how === 'copied' ? size(bytes) : 'is there already'}`;
}

function endLine(name: string, { descriptor, original, blobs }: CopyResult): string {
  const bytes = blobs.reduce((sum, blob) => sum + blob.size, 0);
  const converted = descriptor.digest === original ? '' : `, converted from ${original}`;
  return `${name}: ${size(bytes)}${converted}`;
}
