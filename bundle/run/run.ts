import { join } from 'node:path';
import { programCommand } from '../existing/runtime.ts';
import { detectPrivileges } from '../layers/privileges.ts';
import type { SizeLimit } from '../layers/size-limit.ts';
import { createBundle } from '../make/create.ts';
import type { UnpackObserver } from '../make/observer.ts';
import type { OpenImage } from '../make/open-image.ts';
import { STORE } from '../store/files.ts';
import type { Store } from '../store/store.ts';
import { configureImage, configureRuntime } from './configure.ts';
import { runForeground } from './foreground.ts';
import { networkFiles, writeNetworkFiles } from './network-files.ts';
import { lastingPlace, removeStaleRuns, temporaryPlace } from './place.ts';
import type { RunSettings } from './settings.ts';

/** How an image is run. */
export interface RunOptions {
  /** What is set; the name and the hostname have a default then. */
  readonly settings: Omit<RunSettings, 'name' | 'hostname'> & Partial<RunSettings>;
  readonly platform?: string;
  /** For an ordinary user, in the user namespace that scow-bundle makes for one. */
  readonly rootless: boolean;
  /** What layers may come to that are not unpacked yet; anything where undefined. */
  readonly limit?: SizeLimit;
  /** Value of scow's `--root`. */
  readonly root?: string;
  /** Whether the bundle stays when the program has ended. */
  readonly keep: boolean;
}

/** What is left of a run. */
export interface RunResult {
  /** Exit status of the program, or 128 and its signal. */
  readonly status: number;
  /** The bundle that was kept. */
  readonly kept?: string;
}

/**
 * Runs a container of an image: a bundle in a place of its own, scow, and nothing of it is left.
 *
 * @param image the caller closes it
 * @param begin is called when the container is about to be run: from then on signals are the
 *   program's
 * @param signal stops what comes before
 * @throws Error in one line when there is no container to run
 */
export async function runImage(
  store: Store,
  image: OpenImage,
  options: RunOptions,
  observer: UnpackObserver,
  begin: () => void,
  signal: AbortSignal,
): Promise<RunResult> {
  const { keep, rootless } = options;
  const root = options.root ?? stateOf(store, rootless);
  const runtime = programCommand('scow');
  removeStaleRuns(store.path, (line) => observer.warning(line));
  const place = keep
    ? lastingPlace(store.path, options.settings.name ?? newName())
    : temporaryPlace(store.path, root);
  try {
    const name = options.settings.name ?? place.id;
    const settings = { hostname: name.slice(0, 64), ...options.settings, name };
    const files = networkFiles(place.bundle);
    const making = {
      origin: image.origin,
      bundle: place.bundle,
      ...(options.platform === undefined ? {} : { platform: options.platform }),
      rootless,
      privileges: detectPrivileges(),
      atOnce: true,
      userBy: settings.user === undefined ? undefined : '-u',
      terminal: settings.terminal,
      readOnly: settings.readOnly,
      copy: false,
      limit: options.limit,
      image: (config: Parameters<typeof configureImage>[0]) => configureImage(config, settings),
      edit: (config: Parameters<typeof configureRuntime>[0]) =>
        configureRuntime(config, settings, files),
    };
    await createBundle(store, image.source, making, observer, signal);
    writeNetworkFiles(place.bundle, settings);
    begin();
    const global = root === undefined ? [] : ['--root', root];
    const words = [...runtime, ...global, 'run', '--bundle', place.bundle, name];
    const status = await runForeground(words);
    return keep ? { status, kept: place.bundle } : { status };
  } finally {
    place.leave();
  }
}

/** Where scow keeps what it must know of the container; undefined for its own place. */
function stateOf(store: Store, rootless: boolean): string | undefined {
  const none = rootless && !process.env.XDG_RUNTIME_DIR;
  return none ? join(store.path, STORE.state) : undefined;
}

function newName(): string {
  return `run-${crypto.randomUUID().slice(0, 8)}`;
}
