import { openImage } from '../../make/open-image.ts';
import { isOrdinaryUser } from '../../rootless/caller.ts';
import { endStaleContainers } from '../../run/place.ts';
import { runImage } from '../../run/run.ts';
import { checkName, parseNetwork, parseVariable, parseVolume } from '../../run/settings.ts';
import { openStore } from '../../store/store.ts';
import type { Input } from '../command.ts';
import { maxSize } from '../max-size.ts';
import { writeMessage } from '../output.ts';
import { reporterFor } from '../progress.ts';
import { stoppable } from '../stop.ts';
import { locationOptions, platformOf } from '../transfer/options.ts';
import { copyReporter } from '../transfer/reporter.ts';

/** Ends what earlier runs have left that were killed. */
export function before(input: Input): void {
  endStaleContainers(openStore(input.text('store')).path);
}

/** Runs a container of an image. @returns the exit status of its program */
export async function run(input: Input): Promise<number> {
  const options = runOptions(input);
  const quiet = input.switch('quiet') ?? false;
  const store = openStore(input.text('store'));
  const reporter = reporterFor({ json: false, quiet });
  return stoppable(
    async (signal, release) => {
      const fetch = (text: string) => fetchImage(input, text, quiet, signal);
      const begin = () => {
        reporter.clear();
        release();
      };
      const image = await openImage(store, input.text('image') ?? '', fetch);
      try {
        const { status, kept } = await runImage(store, image, options, reporter, begin, signal);
        if (kept !== undefined && !quiet) writeMessage(`kept the bundle ${kept}`);
        return status;
      } finally {
        image.source.close();
      }
    },
    { left: 'nothing was run', reporter },
  );
}

/** Everything is looked at before anything is fetched. @throws Error in one line */
function runOptions(input: Input): Parameters<typeof runImage>[2] {
  if (input.list('publish').length > 0)
    throw new Error(
      "-p: scow-bundle makes no networks, so there are no ports to publish; with --network host the ports of the program are the machine's, and --network PATH takes a network namespace that other tools have set up",
    );
  const [name, hostname, workingDirectory, user, entrypoint, platform, root] = [
    ...['name', 'hostname', 'workdir', 'user', 'entrypoint', 'platform', 'root'],
  ].map((flag) => input.text(flag));
  platformOf(input);
  return {
    settings: {
      args: input.list('arg'),
      terminal: input.switch('terminal') ?? false,
      readOnly: input.switch('read-only') ?? false,
      env: input.list('env').flatMap((text) => parseVariable(text, process.env) ?? []),
      volumes: input.list('volume').map(parseVolume),
      network: parseNetwork(input.text('network') ?? 'none'),
      ...(name === undefined ? {} : { name: checkName(name) }),
      ...(hostname === undefined ? {} : { hostname }),
      ...(workingDirectory === undefined ? {} : { workingDirectory }),
      ...(user === undefined ? {} : { user }),
      ...(entrypoint === undefined ? {} : { entrypoint }),
    },
    ...(platform === undefined ? {} : { platform }),
    ...(root === undefined ? {} : { root }),
    rootless: isOrdinaryUser(),
    keep: input.switch('keep') ?? false,
    ...maxSize(input),
  };
}

/** Pulls an image that the store does not have. @returns its whole name */
async function fetchImage(
  input: Input,
  text: string,
  quiet: boolean,
  signal: AbortSignal,
): Promise<string> {
  const { pull } = await import('../../transfer/pull.ts');
  const reporter = copyReporter({ json: false, quiet });
  try {
    const result = await pull(text, {
      ...locationOptions(input, signal),
      platforms: platformOf(input),
      ...maxSize(input),
      observer: reporter,
      signal,
    });
    reporter.end(result.name, result);
    return result.name;
  } catch (error) {
    reporter.failed((error as Error).message);
    throw error;
  }
}
