import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { reason } from '../../runtime/linux/reason.ts';
import { isObject } from '../../schemas/is-object.ts';
import {
  type AuthFile,
  authPaths,
  helperKey,
  helperOf,
  keysOf,
  primaryAuthPath,
  readAuthFile,
} from './auth-file.ts';
import { askHelper, eraseFromHelper, tellHelper } from './helper-program.ts';

/**
 * Keeps credentials for a registry: in the helper that is set up for it, or else in the file of
 * `primaryAuthPath`, which nobody but its owner can read.
 *
 * @returns where they are now
 * @throws Error in one line when that fails; what was there before is unchanged then
 */
export async function storeLogin(
  registry: string,
  { username, password }: { readonly username: string; readonly password: string },
): Promise<string> {
  const file = readAuthFile(primaryAuthPath()) ?? { path: primaryAuthPath(), content: {} };
  const helper = configuredHelper(file, registry);
  if (helper !== undefined) {
    await tellHelper(helper, helperKey(registry), { Username: username, Secret: password });
    return `the credential helper ${helper}`;
  }
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  writeAuths(file, registry, { auth });
  return file.path;
}

/**
 * Forgets a registry, wherever credentials are looked up.
 *
 * @returns where they were
 * @throws Error in one line when something cannot be changed
 */
export async function removeLogin(registry: string): Promise<string[]> {
  const places: string[] = [];
  for (const path of authPaths()) {
    const file = readAuthFile(path);
    if (file === undefined) continue;
    const helper = helperOf(file, registry);
    const key = helperKey(registry);
    if (helper !== undefined && (await askHelper(helper, key)) !== undefined) {
      await eraseFromHelper(helper, key);
      places.push(`the credential helper ${helper}`);
    }
    const auths = isObject(file.content.auths) ? file.content.auths : {};
    if (keysOf(auths, registry).length === 0) continue;
    writeAuths(file, registry, undefined);
    places.push(path);
  }
  return places;
}

/** The file's own helper; without one there the next file's, as look-ups find it. */
function configuredHelper(file: AuthFile, registry: string): string | undefined {
  const others = authPaths().filter((path) => path !== file.path);
  for (const one of [file, ...others.map(readAuthFile)]) {
    const helper = one && helperOf(one, registry);
    if (helper !== undefined) return helper;
  }
  return undefined;
}

function writeAuths(file: AuthFile, registry: string, entry: object | undefined): void {
  const auths = { ...(isObject(file.content.auths) ? file.content.auths : {}) };
  for (const key of keysOf(auths, registry)) delete auths[key];
  if (entry !== undefined) auths[registry] = entry;
  writePrivate(file.path, `${JSON.stringify({ ...file.content, auths }, null, 2)}\n`);
}

/** Replaces a file in one step: readers see the old one or the new one, and only their own. */
function writePrivate(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const target = followed(path);
    const temporary = `${target}.${randomBytes(4).toString('hex')}`;
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
      renameSync(temporary, target);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new Error(`cannot write ${path}: ${reason(error)}`, { cause: error });
  }
}

/** People link their configuration to other places: the link stays. */
function followed(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
