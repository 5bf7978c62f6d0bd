import { parseDigest } from './digest.ts';

/** An image's whole name: nothing of it is left to be guessed. */
export interface ImageName {
  /** `HOST[:PORT]`, as in `ghcr.io`, `localhost:5000`, `[::1]:5000`. */
  readonly registry: string;
  /** The path below the registry, such as `library/alpine`. */
  readonly repository: string;
  /** Absent only where a digest says which image it is. */
  readonly tag?: string;
  readonly digest?: string;
}

/** Where names without a registry lead to; the names that mean it. */
const DEFAULT_REGISTRY = 'docker.io';
const DEFAULT_REGISTRIES = [DEFAULT_REGISTRY, 'index.docker.io', 'registry-1.docker.io'];

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const REGISTRY = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:]+\\])(?::(\\d{1,5}))?$`);
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;

/** Registries take no longer names (distribution-spec, Pulling manifests). */
const MOST_CHARACTERS = 255;

/**
 * Reads an image's name as people type it, `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`, and completes
 * it by Docker's rules: no registry is Docker Hub, a repository of one word there is in
 * `library/`, no tag is `latest` unless there is a digest. What precedes the first slash is a
 * registry if it has a dot, a colon or a capital letter, or is `localhost`.
 *
 * @throws Error in one line that says which part is wrong, and how it should be
 */
export function parseName(text: string): ImageName {
  const wrong = (what: string): never => {
    throw new Error(`${JSON.stringify(text)} is not an image name: ${what}`);
  };
  if (text === '') wrong('it is empty');
  if (/\s/.test(text)) wrong('it has a blank in it');
  if (/^https?:\/\//i.test(text)) wrong('it is written without http:// or https://');
  const { rest: tagged, suffix: digest } = cut(text, text.indexOf('@'));
  if (digest !== undefined) checkDigest(digest, wrong);
  // A colon before a slash begins a port.
  const colon = tagged.lastIndexOf(':');
  const { rest: path, suffix: tag } = cut(tagged, colon > tagged.lastIndexOf('/') ? colon : -1);
  if (tag !== undefined && !TAG.test(tag))
    wrong(
      tag === ''
        ? 'the tag after the colon is empty'
        : `the tag ${JSON.stringify(tag)} is not 1 to 128 letters, digits, "_", "." and "-", of which the first is neither "." nor "-"`,
    );
  const where = splitRegistry(path);
  checkRegistry(where.registry, wrong);
  checkRepository(where.repository, wrong);
  if (where.registry.length + 1 + where.repository.length > MOST_CHARACTERS)
    wrong(`registry and repository have more than ${MOST_CHARACTERS} characters together`);
  const chosen = tag ?? (digest === undefined ? 'latest' : undefined);
  return {
    ...where,
    ...(chosen === undefined ? {} : { tag: chosen }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The name in an index, which another tool may have written: undefined where it is none of ours. */
export function nameOf(text: string | undefined): ImageName | undefined {
  try {
    return text === undefined ? undefined : parseName(text);
  } catch {
    return undefined;
  }
}

/** The whole name: `docker.io/library/alpine:latest`. `parseName` reads it back as it was. */
export function formatName({ registry, repository, tag, digest }: ImageName): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** The name as people write it: `alpine:3.20`, without what is understood by itself. */
export function familiarName(name: ImageName): string {
  const whole = formatName(name);
  if (name.registry !== DEFAULT_REGISTRY) return whole;
  return whole.replace(/^docker\.io\/(?:library\/(?=[^/]*$))?/, '');
}

function splitRegistry(path: string): { registry: string; repository: string } {
  const slash = path.indexOf('/');
  const first = path.slice(0, Math.max(slash, 0));
  const named = slash !== -1 && (/[.:A-Z[]/.test(first) || first === 'localhost');
  const registry = named ? first : DEFAULT_REGISTRY;
  const repository = named ? path.slice(slash + 1) : path;
  if (!DEFAULT_REGISTRIES.includes(registry)) return { registry, repository };
  return {
    registry: DEFAULT_REGISTRY,
    repository: repository.includes('/') ? repository : `library/${repository}`,
  };
}

function checkRegistry(registry: string, wrong: (what: string) => never): void {
  const match = REGISTRY.exec(registry);
  if (match === null) wrong(`the registry ${JSON.stringify(registry)} is not HOST or HOST:PORT`);
  else if (Number(match[1] ?? 0) > 65535) wrong(`there is no port ${match[1]}`);
}

function checkRepository(repository: string, wrong: (what: string) => never): void {
  if (/^(?:library\/)?[a-f0-9]{64}$/.test(repository))
    wrong('64 hexadecimal digits are an image ID: write sha256: before it');
  for (const component of repository.split('/')) {
    if (COMPONENT.test(component)) continue;
    if (component === '') wrong('a part of its path is empty');
    const lower = component.toLowerCase();
    wrong(
      lower !== component && COMPONENT.test(lower)
        ? `${JSON.stringify(component)} has capital letters: repositories are written in lower case`
        : `${JSON.stringify(component)} is not made of a-z and 0-9, with single "." or "_", "__" or any number of "-" between them`,
    );
  }
}

function checkDigest(digest: string, wrong: (what: string) => never): void {
  if (!digest.includes(':'))
    wrong(`after "@" comes a digest such as sha256:…, not ${JSON.stringify(digest)}`);
  try {
    parseDigest(digest);
  } catch (error) {
    wrong((error as Error).message);
  }
}

/** What lies before and behind a separator. */
function cut(text: string, at: number): { rest: string; suffix?: string } {
  return at === -1 ? { rest: text } : { rest: text.slice(0, at), suffix: text.slice(at + 1) };
}
