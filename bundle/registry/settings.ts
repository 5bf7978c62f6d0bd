import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { isObject } from '../../schemas/is-object.ts';
import { parseJson } from '../../schemas/validate-image.ts';
import { pointerTo } from '../../schemas/violation.ts';
import { configDirectory } from './home.ts';

/** Another place that has what a registry has. */
export interface Mirror {
  /** `HOST[:PORT]`. */
  readonly host: string;
  /** What precedes repositories there, such as `hub/`; empty where nothing does. */
  readonly prefix: string;
  readonly insecure: boolean;
}

/** What registries.json says of a registry. */
export interface RegistrySettings {
  readonly insecure: boolean;
  /** Asked before the registry itself, in order. */
  readonly mirrors: readonly Mirror[];
}

const LOCATION = /^((?:[a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?)((?:\/[a-z0-9._-]+)*)$/;

/**
 * Looks a registry up in registries.json: the user's, `$XDG_CONFIG_HOME/scow/registries.json`,
 * then the machine's, `/etc/scow/registries.json`.
 *
 * @param registry `HOST[:PORT]`, as names have it
 * @throws Error in one line with a JSON pointer, for a file that says something else
 */
export function settingsFor(registry: string): RegistrySettings {
  for (const path of [
    join(configDirectory(), 'scow/registries.json'),
    '/etc/scow/registries.json',
  ]) {
    const entry = readEntries(path)[registry];
    if (entry !== undefined) return parseEntry(entry, `${path}: ${pointerTo(registry)}`);
  }
  return { insecure: false, mirrors: [] };
}

function readEntries(path: string): Readonly<Record<string, unknown>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return {};
    throw new Error(`cannot read ${path}: ${reason(error)}`, { cause: error });
  }
  return object(parseJson(text, path), `${path}: /`);
}

function parseEntry(value: unknown, at: string): RegistrySettings {
  const { insecure = false, mirrors = [], ...others } = object(value, at);
  refuseOthers(others, at, 'insecure and mirrors');
  if (!Array.isArray(mirrors)) throw new Error(`${at}/mirrors: want a list`);
  return {
    insecure: truth(insecure, `${at}/insecure`),
    mirrors: mirrors.map((mirror, i) => parseMirror(mirror, `${at}/mirrors/${i}`)),
  };
}

function parseMirror(value: unknown, at: string): Mirror {
  const {
    location,
    insecure = false,
    ...others
  } = typeof value === 'string' ? { location: value } : object(value, at);
  refuseOthers(others, at, 'location and insecure');
  const match = typeof location === 'string' ? LOCATION.exec(location) : null;
  if (match === null)
    throw new Error(
      `${at}: ${JSON.stringify(location)}: want HOST[:PORT][/PATH], such as mirror.example.com:5000/hub`,
    );
  const path = match[2] as string;
  return {
    host: match[1] as string,
    prefix: path === '' ? '' : `${path.slice(1)}/`,
    insecure: truth(insecure, `${at}/insecure`),
  };
}

function object(value: unknown, at: string): Record<string, unknown> {
  if (isObject(value)) return value;
  throw new Error(`${at}: want an object`);
}

function truth(value: unknown, at: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new Error(`${at}: want true or false`);
}

function refuseOthers(others: object, at: string, known: string): void {
  const [other] = Object.keys(others);
  if (other !== undefined) throw new Error(`${at}${pointerTo(other)}: unknown: there is ${known}`);
}
