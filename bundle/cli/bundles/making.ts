import { resolve } from 'node:path';
import { detectPrivileges, type Privileges } from '../../layers/privileges.ts';
import type { UnpackPlan } from '../../make/observer.ts';
import { isOrdinaryUser } from '../../rootless/caller.ts';
import type { Input } from '../command.ts';
import { maxSize } from '../max-size.ts';
import { type Reporter, reporterFor } from '../progress.ts';
import { stoppable } from '../stop.ts';

/** What the flags say that all commands have which make bundles. */
function makingOptions(input: Input) {
  const platform = input.text('platform');
  const rootless = input.switch('rootless') ?? isOrdinaryUser();
  const privileges: Privileges = rootless ? 'rootless' : detectPrivileges();
  return {
    bundle: input.text('bundle') ?? '',
    ...(platform === undefined ? {} : { platform }),
    rootless,
    privileges,
    terminal: input.switch('terminal') ?? false,
    ...maxSize(input),
  };
}

/**
 * Makes a bundle, shows how that goes, and stops when a signal asks for it.
 *
 * @param make makes it; of what fails or is stopped it leaves nothing
 * @returns the exit status
 */
export function showMaking(
  input: Input,
  make: (
    options: ReturnType<typeof makingOptions>,
    reporter: Reporter,
    signal: AbortSignal,
  ) => Promise<UnpackPlan>,
): Promise<number> {
  const reporter = reporterFor({
    json: input.switch('json') ?? false,
    quiet: input.switch('quiet') ?? false,
  });
  const bundle = input.text('bundle') ?? '';
  return stoppable(
    async (signal) => {
      const plan = await make(makingOptions(input), reporter, signal);
      reporter.end(resolve(bundle), plan);
    },
    { left: `nothing of ${bundle} was left`, reporter },
  );
}
