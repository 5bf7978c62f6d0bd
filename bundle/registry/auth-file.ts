import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { isObject } from '../../schemas/is-object.ts';
import { parseJson } from '../../schemas/validate-image.ts';
import { isOrdinaryUser } from '../rootless/caller.ts';
import { configDirectory, homeDirectory } from './home.ts';

/** `auth.json` of the containers tools, and Docker's `config.json`, which have one form. */
export interface AuthFile {
  readonly path: string;
  /** All that is in the file: what we do not know stays. */
  readonly content: Readonly<Record<string, unknown>>;
}

/** What is kept for a registry in the file itself. */
export interface StoredAuth {
  /** `user:password` in base64. */
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  /** What a token server takes instead of a password. */
  readonly identitytoken?: string;
  /** What the registry itself takes. */
  readonly registrytoken?: string;
}

/** Docker's name for its registry, from before registries had names. */
const DOCKER_HUB = 'https://index.docker.io/v1/';

/**
 * The file that logins are written to: `REGISTRY_AUTH_FILE`, or the one that podman and skopeo
 * use, which lasts as long as the machine runs (containers-auth.json(5)). A user who has no place
 * of that kind keeps them for longer.
 */
export function primaryAuthPath(): string {
  const { REGISTRY_AUTH_FILE: named, XDG_RUNTIME_DIR: runtime } = process.env;
  if (named) return named;
  if (runtime) return join(runtime, 'containers/auth.json');
  return isOrdinaryUser() ? configuredAuthPath() : '/run/containers/0/auth.json';
}

/** All files that credentials are looked up in, in order. */
export function authPaths(): string[] {
  if (process.env.REGISTRY_AUTH_FILE) return [primaryAuthPath()];
  const docker = process.env.DOCKER_CONFIG || join(homeDirectory(), '.docker');
  return [...new Set([primaryAuthPath(), configuredAuthPath(), join(docker, 'config.json')])];
}

function configuredAuthPath(): string {
  return join(configDirectory(), 'containers/auth.json');
}

/**
 * Reads one.
 *
 * @returns undefined where there is none
 * @throws Error in one line for a file that cannot be read, or is something else
 */
export function readAuthFile(path: string): AuthFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw new Error(`cannot read ${path}: ${reason(error)}`, { cause: error });
  }
  const content = text.trim() === '' ? {} : parseJson(text, path);
  if (!isObject(content)) throw new Error(`${path}: this is no file of credentials`);
  return { path, content };
}

/** What the file keeps for a key such as `quay.io` or `quay.io/user`; Docker's old forms too. */
export function storedAuth({ content, path }: AuthFile, key: string): StoredAuth | undefined {
  const auths = isObject(content.auths) ? content.auths : {};
  const found = keysOf(auths, key)[0];
  if (found === undefined) return undefined;
  const entry = auths[found];
  // Docker leaves an empty entry where a helper has the rest.
  if (!isObject(entry) || Object.keys(entry).length === 0) return undefined;
  for (const [name, value] of Object.entries(entry))
    if (typeof value !== 'string' && name !== 'email')
      throw new Error(`${path}: the entry ${found}: ${name} is no text`);
  return entry as StoredAuth;
}

/** The keys of `auths` that mean the same registry or repository. */
export function keysOf(auths: object, key: string): string[] {
  return Object.keys(auths).filter((other) => canonical(other) === key);
}

/** The credential helper that is asked for a registry; the part after `docker-credential-`. */
export function helperOf({ content }: AuthFile, registry: string): string | undefined {
  const helpers = isObject(content.credHelpers) ? content.credHelpers : {};
  const own = Object.entries(helpers).find(([key]) => canonical(key) === registry)?.[1];
  const helper = own ?? content.credsStore;
  return typeof helper === 'string' && helper !== '' ? helper : undefined;
}

/** How helpers know a registry. */
export function helperKey(registry: string): string {
  return registry === 'docker.io' ? DOCKER_HUB : registry;
}

/** `https://HOST/v1/` and `HOST/v1` were Docker's keys; what is below a host stays otherwise. */
function canonical(key: string): string {
  const bare = key.replace(/^https?:\/\//, '');
  const path = bare === key ? bare : (bare.split('/')[0] as string);
  return path
    .replace(/\/(?:v[12]\/?)?$/, '')
    .replace(/^(?:index|registry-1)\.docker\.io(?=\/|$)/, 'docker.io');
}
