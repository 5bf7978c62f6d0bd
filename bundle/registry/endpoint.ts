import type { ImageName } from '../image/name.ts';
import { settingsFor } from './settings.ts';

/** A server that has a repository: the registry that a name means, or a mirror of it. */
export interface Endpoint {
  /** `HOST[:PORT]` as names, logins and errors have it. */
  readonly registry: string;
  /** `HOST[:PORT]` that requests go to. */
  readonly host: string;
  /** The repository's path there. */
  readonly repository: string;
  /** Whether plain HTTP and unknown certificates will do. */
  readonly insecure: boolean;
}

/** The hosts of registries whose names are none. */
const HOSTS: Readonly<Record<string, string>> = { 'docker.io': 'registry-1.docker.io' };

/**
 * Where a repository is: the registry itself.
 *
 * @param insecure whether the user allows plain HTTP; registries.json may do so too
 * @throws Error in one line for a damaged registries.json
 */
export function endpointOf(
  { registry, repository }: Pick<ImageName, 'registry' | 'repository'>,
  insecure: boolean,
): Endpoint {
  return {
    registry,
    host: HOSTS[registry] ?? registry,
    repository,
    insecure: insecure || settingsFor(registry).insecure,
  };
}

/** The mirrors to be asked before it, in order. */
export function mirrorsOf({ registry, repository }: ImageName): Endpoint[] {
  return settingsFor(registry).mirrors.map(({ host, prefix, insecure }) => ({
    registry: host,
    host,
    repository: `${prefix}${repository}`,
    insecure,
  }));
}
