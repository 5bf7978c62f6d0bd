import { POLL } from '../../runtime/linux/constants.ts';
import { print, STDERR, write } from '../../runtime/linux/output.ts';
import { waitFor } from '../../runtime/linux/poll.ts';

/**
 * Writes one JSON object as a line to standard output.
 *
 * @throws Error in one line when it cannot be written: nobody hears any more
 */
export function writeEvent(event: Readonly<Record<string, unknown>>): void {
  print(`${JSON.stringify(event)}\n`);
}

/** Writes the event of a failure, which is told on standard error anyway. */
export function writeFailure(message: string): void {
  try {
    writeEvent({ event: 'error', message });
  } catch {
    // The reader went away.
  }
}

/** Tells people: the one line, or the list of mistakes, that goes with a failure or a warning. */
export function writeMessage(text: string): void {
  tell(`scow-bundle: ${plain(text)}\n`);
}

/** Images and archives are made by strangers: what they wrote must not steer a terminal. */
export function plain(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/**
 * Whether a line can be written without waiting for its reader: a pipe may be full, a terminal
 * stopped (Ctrl-S). What is only of the moment is better left out then. Also true when there is
 * no reader any more, as the writing will tell.
 */
export function isReady(fd: number): boolean {
  return waitFor(fd, POLL.OUT, 0) !== 0;
}

/** Writes to standard error. Where nobody reads it any more, work goes on. */
export function tell(text: string): void {
  try {
    write(STDERR, text);
  } catch {
    // There is no place left to say so.
  }
}
