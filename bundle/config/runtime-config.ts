import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reason } from '../../runtime/linux/reason.ts';
import { defaultConfig, rootlessConfig } from '../../schemas/default-config.ts';
import type { ImageConfig } from '../../schemas/image.ts';
import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { formatViolations, validateRuntimeConfig } from '../../schemas/validate.ts';
import { convertConfig, type RootfsFacts } from './convert.ts';
import type { RootReader } from './rootfs-file.ts';
import { resolveUser } from './user.ts';

/** A user and a group by their numbers. */
export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

const OURSELVES: Ids = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };

/** How a bundle's config.json is made of an image's configuration. */
export interface ConfigOptions {
  /** For an ordinary user, who is root in the container. */
  readonly rootless: boolean;
  /** Who the ordinary user is where the runtime is called; by default as we are. */
  readonly caller?: Ids;
  /** Whether the program shall get a terminal of its own. */
  readonly terminal: boolean;
  /** Whether the root filesystem shall be read-only; programs expect to write to it. */
  readonly readOnly?: boolean;
  /** Changes what the image says, before it is validated. */
  edit?(config: RuntimeConfig): RuntimeConfig;
}

/**
 * Writes `config.json`.
 *
 * @param directory where to
 * @param rootfs the root filesystem, whose user database is asked
 * @throws Error in one line
 */
export function writeRuntimeConfig(
  directory: string,
  rootfs: RootReader,
  image: ImageConfig,
  options: ConfigOptions,
  warn: (line: string) => void,
): void {
  const config = runtimeConfig(rootfs, image, options, warn);
  try {
    writeFileSync(join(directory, 'config.json'), `${JSON.stringify(config, null, '\t')}\n`);
  } catch (error) {
    throw new Error(`cannot write config.json: ${reason(error)}`, { cause: error });
  }
}

/**
 * Converts an image's configuration.
 *
 * @param rootfs as for `writeRuntimeConfig`
 * @throws Error in one line
 */
export function runtimeConfig(
  rootfs: RootReader,
  config: ImageConfig,
  { rootless, terminal, readOnly = false, caller = OURSELVES, edit }: ConfigOptions,
  warn: (line: string) => void,
): RuntimeConfig {
  const facts = rootfsFacts(rootfs, config, rootless);
  const { uid, gid } = facts.user;
  const converted = {
    ...convertConfig(defaultConfig(), config, facts, terminal),
    root: { path: 'rootfs', readonly: readOnly },
  };
  const whole = rootless ? rootlessFor(converted, caller) : converted;
  const result = edit?.(whole) ?? whole;
  if (rootless && (uid !== 0 || gid !== 0))
    warn(
      `the image's user is ${uid}:${gid}, and only root is mapped in a rootless bundle: runtimes will refuse it until process.user in config.json is changed`,
    );
  const violations = validateRuntimeConfig(result);
  if (violations.length > 0)
    throw new Error(formatViolations("config.json, made of the image's configuration", violations));
  return result;
}

function rootfsFacts(rootfs: RootReader, { config }: ImageConfig, rootless: boolean): RootfsFacts {
  const user = resolveUser(config?.User, {
    passwd: () => rootfs.readFile('/etc/passwd'),
    group: () => rootfs.readFile('/etc/group'),
  });
  return {
    user,
    directory(path) {
      const found = rootfs.directory(path);
      // All files are the caller's then, who becomes root.
      return found !== undefined && rootless ? { ...found, uid: 0, gid: 0 } : found;
    },
  };
}

/** The caller becomes root; other groups can't be had in a user namespace of one's own. */
function rootlessFor(config: RuntimeConfig, caller: Ids): RuntimeConfig {
  const rootless = rootlessConfig(config, caller.uid, caller.gid);
  const { uid, gid } = config.process?.user ?? { uid: 0, gid: 0 };
  return config.process === undefined
    ? rootless
    : { ...rootless, process: { ...config.process, user: { uid, gid } } };
}
