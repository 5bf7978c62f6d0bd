import { existsSync } from 'node:fs';
import {
  type AuthFile,
  authPaths,
  helperKey,
  helperOf,
  readAuthFile,
  type StoredAuth,
  storedAuth,
} from './auth-file.ts';
import { askHelper } from './helper-program.ts';

/** Who we are to a registry; one of the three, and where it is from. */
export type Credentials = { readonly from: string } & (
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string }
  | { readonly registryToken: string }
);

/** The user that helpers name where the secret is an identity token. */
const TOKEN_USER = '<token>';

/**
 * Finds the credentials for a repository: in the files of `authPaths`, the most specific entry of
 * the first file that has one; a helper that a file names is asked for its registry.
 *
 * @param registry as names have it
 * @param repository below it; entries such as `quay.io/user` count for what is below
 * @returns undefined where nobody is logged in
 * @throws Error in one line for a damaged file, or a helper that fails
 */
export async function findCredentials(
  registry: string,
  repository = '',
): Promise<Credentials | undefined> {
  const named = process.env.REGISTRY_AUTH_FILE;
  if (named && !existsSync(named))
    throw new Error(`REGISTRY_AUTH_FILE names ${named}, which does not exist`);
  for (const path of authPaths()) {
    const file = readAuthFile(path);
    const found = file && (await fromFile(file, registry, repository));
    if (found !== undefined) return found;
  }
  return undefined;
}

async function fromFile(
  file: AuthFile,
  registry: string,
  repository: string,
): Promise<Credentials | undefined> {
  const helper = helperOf(file, registry);
  if (helper !== undefined) {
    const secret = await askHelper(helper, helperKey(registry));
    const from = `the credential helper ${helper}`;
    if (secret !== undefined)
      return secret.Username === TOKEN_USER
        ? { from, identityToken: secret.Secret }
        : { from, username: secret.Username, password: secret.Secret };
  }
  const parts = repository === '' ? [] : repository.split('/');
  for (let length = parts.length; length >= 0; length--) {
    const key = [registry, ...parts.slice(0, length)].join('/');
    const stored = storedAuth(file, key);
    if (stored !== undefined) return fromEntry(stored, file.path, key);
  }
  return undefined;
}

function fromEntry(stored: StoredAuth, from: string, key: string): Credentials {
  if (stored.registrytoken) return { from, registryToken: stored.registrytoken };
  if (stored.identitytoken) return { from, identityToken: stored.identitytoken };
  if (stored.auth === undefined && stored.username !== undefined)
    return { from, username: stored.username, password: stored.password ?? '' };
  const pair = Buffer.from(stored.auth ?? '', 'base64').toString();
  const colon = pair.indexOf(':');
  if (colon < 1)
    throw new Error(`${from}: the entry ${key}: "auth" is not user:password in base64`);
  // Docker pads with zero bytes.
  return {
    from,
    username: pair.slice(0, colon),
    password: pair.slice(colon + 1).replace(/\0+$/, ''),
  };
}
