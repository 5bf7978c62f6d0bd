import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reason } from '../runtime/linux/reason.ts';
import { defaultConfig, rootlessConfig } from '../schemas/default-config.ts';
import type { ImageConfig } from '../schemas/image.ts';
import type { RuntimeConfig } from '../schemas/runtime-config.ts';
import { formatViolations, validateRuntimeConfig } from '../schemas/validate.ts';
import { convertConfig, type RootfsFacts } from './config/convert.ts';
import { directoryInRoot, readInRoot } from './config/rootfs-file.ts';
import { resolveUser } from './config/user.ts';

/** How a bundle's config.json is made of an image's configuration. */
export interface ConfigOptions {
  /** For an ordinary user, who is root in the container. */
  readonly rootless: boolean;
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
  rootfs: string,
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
  rootfs: string,
  config: ImageConfig,
  { rootless, terminal, readOnly = false, edit }: ConfigOptions,
  warn: (line: string) => void,
): RuntimeConfig {
  const fd = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const facts = rootfsFacts(fd, config, rootless);
    const { uid, gid } = facts.user;
    const converted = {
      ...convertConfig(defaultConfig(), config, facts, terminal),
      root: { path: 'rootfs', readonly: readOnly },
    };
    const whole = rootless ? rootlessFor(converted) : converted;
    const result = edit?.(whole) ?? whole;
    if (rootless && (uid !== 0 || gid !== 0))
      warn(
        `the image's user is ${uid}:${gid}, and only root is mapped in a rootless bundle: runtimes will refuse it until process.user in config.json is changed`,
      );
    const violations = validateRuntimeConfig(result);
    if (violations.length > 0)
      throw new Error(
        formatViolations("config.json, made of the image's configuration", violations),
      );
    return result;
  } finally {
    closeSync(fd);
  }
}

function rootfsFacts(fd: number, { config }: ImageConfig, rootless: boolean): RootfsFacts {
  const user = resolveUser(config?.User, {
    passwd: () => readInRoot(fd, '/etc/passwd'),
    group: () => readInRoot(fd, '/etc/group'),
  });
  return {
    user,
    directory(path) {
      const found = directoryInRoot(fd, path);
      // All files are the caller's then, who becomes root.
      return found !== undefined && rootless ? { ...found, uid: 0, gid: 0 } : found;
    },
  };
}

/** The caller becomes root; other groups can't be had in a user namespace of one's own. */
function rootlessFor(config: RuntimeConfig): RuntimeConfig {
  const rootless = rootlessConfig(config, process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
  const { uid, gid } = config.process?.user ?? { uid: 0, gid: 0 };
  return config.process === undefined
    ? rootless
    : { ...rootless, process: { ...config.process, user: { uid, gid } } };
}
