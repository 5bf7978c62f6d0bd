import { logError } from '../container/log.ts';
import type { ContainerStore } from '../container/store.ts';

/**
 * Does something with every container whose ID matches, and goes on where it fails.
 *
 * @param pattern a regular expression; it need not match the whole ID
 * @param act throws an Error in one line, which is logged
 * @returns the exit status: 1 when something failed, 0 also when nothing matched
 * @throws Error in one line for what is no regular expression
 */
export async function forEachMatch(
  store: ContainerStore,
  pattern: string,
  act: (id: string) => void | Promise<void>,
): Promise<number> {
  const expression = compile(pattern);
  let status = 0;
  for (const id of store.list().filter((name) => expression.test(name))) {
    try {
      await act(id);
    } catch (error) {
      logError(error);
      status = 1;
    }
  }
  return status;
}

/** What means something else here than in grep -E is refused, before it ends the wrong container. */
function compile(pattern: string): RegExp {
  if (/\[:\w+:\]/.test(pattern))
    throw new Error(
      `--regex ${JSON.stringify(pattern)}: classes such as [[:digit:]] are not known: write [0-9]`,
    );
  try {
    return new RegExp(pattern);
  } catch (cause) {
    throw new Error(`--regex ${JSON.stringify(pattern)} is no regular expression`, { cause });
  }
}
