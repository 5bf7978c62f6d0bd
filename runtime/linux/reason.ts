import { explainErrno } from './errno.ts';

/**
 * Why a call of node:fs or a system call failed, in words and with the errno's name: fit for the
 * end of a sentence.
 *
 * @param error what was thrown; one without an errno speaks for itself
 */
export function reason(error: unknown): string {
  // Its class tells nothing: the engine's own errors may be of another realm (node:vm, jest).
  const { errno, message } = (error ?? {}) as NodeJS.ErrnoException;
  // Some libraries have numbers of their own there, with names like Z_BUF_ERROR.
  return typeof errno === 'number' && /^E[A-Z0-9]+$/.test(codeOf(error) ?? '')
    ? explainErrno(Math.abs(errno))
    : (message ?? String(error));
}

/** The errno's name (`ENOENT`, …) of an error that has one. */
export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | null | undefined)?.code;
}
