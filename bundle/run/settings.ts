import { existsSync } from 'node:fs';
import { posix, resolve } from 'node:path';

/** What a container is run with, beside its image. */
export interface RunSettings {
  /** The container's ID. */
  readonly name: string;
  /** The program's arguments; empty for the image's own. */
  readonly args: readonly string[];
  readonly terminal: boolean;
  /** `NAME=VALUE` each. */
  readonly env: readonly string[];
  readonly volumes: readonly Volume[];
  readonly workingDirectory?: string;
  /** As in an image: `user`, `uid`, `user:group` and so on. */
  readonly user?: string;
  readonly entrypoint?: string;
  readonly readOnly: boolean;
  readonly hostname: string;
  readonly network: Network;
}

/** A file or directory of the host in the container. */
export interface Volume {
  /** Absolute. */
  readonly source: string;
  readonly destination: string;
  readonly options: readonly string[];
}

/** `none` has only itself; `host` shares the host's; else the path of a network namespace. */
export type Network = 'none' | 'host' | { readonly path: string };

/** Options of bind mounts that make sense for who has no other word on the mount. */
const VOLUME_OPTIONS = [
  ...['ro', 'rw', 'exec', 'noexec', 'suid', 'nosuid', 'dev', 'nodev', 'bind', 'rbind'],
  ...['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'],
];
const PROPAGATION = /^r?(private|shared|slave)$/;

/**
 * Reads the value of `-v`: `SOURCE:DESTINATION[:OPTION,…]`.
 *
 * @throws Error in one line for another form, and where there is no such source
 */
export function parseVolume(text: string): Volume {
  const [source = '', destination = '', options, ...rest] = text.split(':');
  const where = `-v ${JSON.stringify(text)}`;
  if (source === '' || destination === '' || rest.length > 0)
    throw new Error(`${where}: want SOURCE:DESTINATION or SOURCE:DESTINATION:OPTION,…`);
  if (!/^\.{0,2}\//.test(source) && !/^\.{1,2}$/.test(source))
    throw new Error(
      `${where}: there are no named volumes; a source is a path that begins with / or ./`,
    );
  if (!destination.startsWith('/') || posix.normalize(destination) === '/')
    throw new Error(`${where}: the destination must be an absolute path other than /`);
  const path = resolve(source);
  if (!existsSync(path)) throw new Error(`${where}: there is no ${path}`);
  return { source: path, destination, options: volumeOptions(options, where) };
}

function volumeOptions(text: string | undefined, where: string): string[] {
  const given = text?.split(',') ?? [];
  const unknown = given.find((option) => !VOLUME_OPTIONS.includes(option));
  if (unknown !== undefined)
    throw new Error(
      `${where}: the option ${JSON.stringify(unknown)} is unknown; there is ${VOLUME_OPTIONS.join(', ')}`,
    );
  return [
    ...(given.some((option) => /^r?bind$/.test(option)) ? [] : ['rbind']),
    ...(given.some((option) => PROPAGATION.test(option)) ? [] : ['rprivate']),
    ...given,
  ];
}

/**
 * Reads the value of `-e`: `NAME=VALUE`, or `NAME` for the variable that the caller has.
 *
 * @returns undefined for one that the caller does not have
 * @throws Error in one line for an empty name
 */
export function parseVariable(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const name = text.replace(/=.*$/s, '');
  if (name === '') throw new Error(`-e ${JSON.stringify(text)}: want NAME=VALUE or NAME`);
  if (name !== text) return text;
  const value = environment[name];
  return value === undefined ? undefined : `${name}=${value}`;
}

/** Reads the value of `--network`. @throws Error in one line for another word */
export function parseNetwork(text: string): Network {
  if (text === 'none' || text === 'host') return text;
  if (!text.includes('/'))
    throw new Error(
      `--network ${JSON.stringify(text)}: want none, host, or the path of a network namespace`,
    );
  const path = resolve(text);
  if (!existsSync(path)) throw new Error(`--network ${text}: there is no ${path}`);
  return { path };
}

/** What a container of a name may be called: scow's rule for IDs. */
export function checkName(name: string): string {
  if (/^[A-Za-z0-9_+.-]+$/.test(name) && name !== '.' && name !== '..' && name.length <= 255)
    return name;
  throw new Error(
    `--name ${JSON.stringify(name)}: want letters, digits, "_", "+", "-" and ".", at most 255`,
  );
}
