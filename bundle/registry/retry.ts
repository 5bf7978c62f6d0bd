import { setTimeout as sleep } from 'node:timers/promises';
import { RegistryError } from './error.ts';

/** Milliseconds before the second attempt; every further wait is twice as long. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
/** Milliseconds that a registry may ask for: somebody waits for us. */
const MOST_ASKED = 120_000;

/**
 * Tries until it succeeds, or fails in a way that time does not heal, or has failed often enough.
 *
 * @param attempts how often at most
 * @param work told how many attempts failed before this one
 * @throws the last failure, which says how many there were
 */
export async function retrying<T>(
  { attempts, signal }: { readonly attempts: number; readonly signal?: AbortSignal | undefined },
  work: (failed: number) => Promise<T>,
): Promise<T> {
  for (let failed = 0; ; ) {
    try {
      return await work(failed);
    } catch (error) {
      failed++;
      await beforeNext(error, failed, attempts, signal);
    }
  }
}

/**
 * Waits for the time of the next attempt.
 *
 * @param failed how many attempts failed so far
 * @throws the failure, when there is no next one
 */
export async function beforeNext(
  error: unknown,
  failed: number,
  attempts: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  if (!(error instanceof RegistryError) || !error.transient) throw error;
  const asked = error.wait ?? 0;
  if (failed >= attempts)
    throw failed === 1 ? error : changed(error, `${error.message} (${failed} attempts)`);
  if (asked > MOST_ASKED)
    throw changed(
      error,
      `${error.message}: it asks to wait for ${Math.ceil(asked / 1000)} seconds, try again then`,
    );
  const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failed - 1));
  // So that those who were turned away together do not come back together.
  const jittered = wait * (0.75 + Math.random() / 2);
  await sleep(Math.max(asked, jittered), undefined, signal === undefined ? {} : { signal }).catch(
    () => signal?.throwIfAborted(),
  );
}

function changed(error: RegistryError, message: string): RegistryError {
  return new RegistryError(message, {
    ...(error.status === undefined ? {} : { status: error.status }),
    cause: error,
  });
}
