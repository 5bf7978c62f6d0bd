import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reason } from '../../runtime/linux/reason.ts';
import { defaultConfig, isMapped, withUserNamespace } from '../../schemas/default-config.ts';
import type { ImageConfig } from '../../schemas/image.ts';
import type { RuntimeConfig, User } from '../../schemas/runtime-config.ts';
import { formatViolations, validateRuntimeConfig } from '../../schemas/validate.ts';
import { idsFor, type MappedIds } from '../rootless/mapped-ids.ts';
import { convertConfig, type RootfsFacts } from './convert.ts';
import type { RootReader } from './rootfs-file.ts';
import { IMAGE_USER, resolveUser } from './user.ts';

/** How a bundle's config.json is made of an image's configuration. */
export interface ConfigOptions {
  /** For an ordinary user, who is root in the container. */
  readonly rootless: boolean;
  /** Whom an ordinary user can have in the container; by default what the machine allows. */
  readonly ids?: MappedIds;
  /** Whether it is run at once: what a runtime would refuse is an error then, not a warning. */
  readonly atOnce?: boolean;
  /** What chose the user, as errors call it, where that was not the image. */
  readonly userBy?: string | undefined;
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
  options: ConfigOptions,
  warn: (line: string) => void,
): RuntimeConfig {
  const { terminal, readOnly = false, edit } = options;
  const facts = rootfsFacts(rootfs, config, options.userBy);
  const converted = {
    ...convertConfig(defaultConfig(), config, facts, terminal),
    root: { path: 'rootfs', readonly: readOnly },
  };
  const whole = options.rootless
    ? rootlessFor(converted, facts.user, config, options, warn)
    : converted;
  const result = edit?.(whole) ?? whole;
  const violations = validateRuntimeConfig(result);
  if (violations.length > 0)
    throw new Error(formatViolations("config.json, made of the image's configuration", violations));
  return result;
}

function rootfsFacts(rootfs: RootReader, { config }: ImageConfig, userBy?: string): RootfsFacts {
  const database = {
    passwd: () => rootfs.readFile('/etc/passwd'),
    group: () => rootfs.readFile('/etc/group'),
  };
  return {
    user: resolveUser(config?.User, database, userBy),
    directory: (path) => rootfs.directory(path),
  };
}

/** The caller becomes root. Supplementary groups that are not mapped can't be had. */
function rootlessFor(
  config: RuntimeConfig,
  user: User,
  image: ImageConfig,
  { ids = idsFor(user), atOnce = false, userBy = IMAGE_USER }: ConfigOptions,
  warn: (line: string) => void,
): RuntimeConfig {
  const { uid, gid, additionalGids = [] } = user;
  if (!isMapped(uid, ids.uids) || !isMapped(gid, ids.gids)) {
    const only = ids.onlyRoot ?? `the IDs here end at ${lastOf(ids)}`;
    const who = `${userBy} ${JSON.stringify(image.config?.User ?? '')} (${uid}:${gid})`;
    const line = `${who} cannot be had in an ordinary user's container: ${only}`;
    if (atOnce) throw new Error(line);
    warn(`${line}; runtimes will refuse it until process.user in config.json is changed`);
  }
  const groups = additionalGids.filter((group) => isMapped(group, ids.gids));
  const rootless = withUserNamespace(config, ids.uids, ids.gids);
  const own = { uid, gid, ...(groups.length === 0 ? {} : { additionalGids: groups }) };
  return config.process === undefined
    ? rootless
    : { ...rootless, process: { ...config.process, user: own } };
}

function lastOf({ uids, gids }: MappedIds): number {
  const [uid = 0, gid = 0] = [uids, gids].map((maps) =>
    Math.max(...maps.map(({ containerID, size }) => containerID + size - 1)),
  );
  return Math.min(uid, gid);
}
