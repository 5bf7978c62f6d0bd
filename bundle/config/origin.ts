import { isDeepStrictEqual } from 'node:util';
import type { ImageConfig } from '../../schemas/image.ts';
import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { pointerTo } from '../../schemas/violation.ts';

/** Where a value of a runtime configuration comes from. */
export interface Origin {
  /** JSON pointer (RFC 6901). */
  readonly pointer: string;
  readonly value: unknown;
  /** For people: `the image's Env[3]`, `default`. */
  readonly source: string;
}

/** What a bundle's configuration is compared with. */
export interface Expected {
  /** What the image's configuration was converted to. */
  readonly config: RuntimeConfig;
  /** What that began with, and the image says nothing about. */
  readonly base: RuntimeConfig;
  readonly image: ImageConfig;
}

/** Values that a flag of its own sets. */
const FLAGS: Readonly<Record<string, string>> = {
  'process/terminal': 'the flag --terminal, or an edit',
  'root/readonly': 'the flag --read-only, or an edit',
};

type Path = readonly (string | number)[];

const PREFIX = 'org.opencontainers.image.';

/**
 * Tells of every value of a bundle's configuration where it comes from.
 *
 * @param config `config.json` as it is now
 * @returns values that are neither lists nor objects with something in them, in their order
 */
export function originsOf(config: RuntimeConfig, expected: Expected): Origin[] {
  return [...leaves(config, [])].map(({ path, value }) => ({
    pointer: pointerTo(...path),
    value,
    source: sourceOf(value, sameThing(path, value, config, expected.config), expected),
  }));
}

function* leaves(value: unknown, path: Path): Generator<{ path: Path; value: unknown }> {
  const entries: (readonly [string | number, unknown])[] = Array.isArray(value)
    ? [...value.entries()]
    : value !== null && typeof value === 'object'
      ? Object.entries(value)
      : [];
  if (entries.length === 0) yield { path, value };
  for (const [key, child] of entries) yield* leaves(child, [...path, key]);
}

/**
 * Where the expected configuration has the same thing: variables and mounts move when others are
 * put before them.
 */
function sameThing(path: Path, value: unknown, now: RuntimeConfig, before: RuntimeConfig): Path {
  const [first, second, third] = path;
  if (first === 'process' && second === 'env' && typeof third === 'number') {
    const name = (one: unknown) => String(one).split('=', 1)[0];
    const at = (before.process?.env ?? []).findIndex((one) => name(one) === name(value));
    return at < 0 ? [first, second, 'new'] : [first, second, at];
  }
  if (first === 'mounts' && typeof second === 'number') {
    const destination = now.mounts?.[second]?.destination;
    const at = (before.mounts ?? []).findIndex((one) => one.destination === destination);
    return [first, at < 0 ? 'new' : at, ...path.slice(2)];
  }
  return path;
}

function sourceOf(value: unknown, path: Path, expected: Expected): string {
  const before = valueAt(expected.config, path);
  const origin = originalSource(path, expected);
  if (isDeepStrictEqual(before, value)) return origin;
  const change = FLAGS[path.join('/')] ?? 'a flag, or an edit';
  return before === undefined ? change : `${change} (${origin}: ${JSON.stringify(before)})`;
}

/** Where a value of the expected configuration comes from: conversion.md of image-spec. */
function originalSource(path: Path, expected: Expected): string {
  const [first, second, third] = path;
  const fallback = fromBase(path, expected);
  if (first === 'process') return processSource(second, third, expected) ?? fallback;
  if (first === 'mounts' && typeof second === 'number') {
    const destination = expected.config.mounts?.[second]?.destination ?? '';
    if (Object.hasOwn(expected.image.config?.Volumes ?? {}, destination))
      return `the image's Volumes[${JSON.stringify(destination)}]`;
  }
  if (first === 'annotations') return annotationSource(String(second), expected.image);
  return fallback;
}

/** What the image says nothing about. */
function fromBase(path: Path, { base, config }: Expected): string {
  // Programs expect to write to an image's root, and nobody waits at a terminal.
  if (path[0] === 'root' || path.join('/') === 'process/terminal') return 'default';
  const value = valueAt(config, path);
  const before = valueAt(base, sameThing(path, value, config, base));
  return isDeepStrictEqual(before, value) ? 'default' : 'rootless';
}

function processSource(
  field: unknown,
  index: unknown,
  { image: { config } }: Expected,
): string | undefined {
  const [entrypoint, cmd] = [config?.Entrypoint?.length ?? 0, config?.Cmd?.length ?? 0];
  if (field === 'args' && typeof index === 'number' && entrypoint + cmd > 0)
    return index < entrypoint
      ? `the image's Entrypoint[${index}]`
      : `the image's Cmd[${index - entrypoint}]`;
  if (field === 'env' && typeof index === 'number')
    return index < (config?.Env?.length ?? 0) ? `the image's Env[${index}]` : 'default';
  if (field === 'cwd' && config?.WorkingDir) return "the image's WorkingDir";
  if (field === 'user')
    return config?.User
      ? `the image's User ${JSON.stringify(config.User)}`
      : 'default: the superuser';
  return undefined;
}

function annotationSource(key: string, { config, ...image }: ImageConfig): string {
  if (Object.hasOwn(config?.Labels ?? {}, key)) return `the image's Labels[${JSON.stringify(key)}]`;
  const name = key.startsWith(PREFIX) ? key.slice(PREFIX.length) : '';
  if (name === 'stopSignal') return "the image's StopSignal";
  if (name === 'exposedPorts') return "the image's ExposedPorts";
  return Object.hasOwn(image, name) ? `the image's ${name}` : 'default';
}

function valueAt(document: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      value !== null && typeof value === 'object'
        ? (value as Record<string | number, unknown>)[key]
        : undefined,
    document,
  );
}
