/**
 * What a shell has for the end of a process: its exit status, or 128 plus the number of the signal
 * that killed it.
 *
 * @param status as wait(2) stores it
 */
export function exitStatus(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}
