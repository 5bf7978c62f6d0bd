/** crun's form of the option `idmap`, which brings its mapping along. */

import type { IdMapping, Linux } from './linux-config.ts';

/** The mapping of an ID-mapped mount: IDs on the filesystem, as `containerID`, to IDs of the host. */
export interface IdMaps {
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
}

/** What {@link parseIdMapOption} takes, in words. */
export const ID_MAP_OPTION =
  'idmap, or idmap=uids=FROM-TO-SIZE;gids=FROM-TO-SIZE with # between ranges, and @ before one that counts in the container’s user namespace';

const RANGE = /^(@?)(\d{1,10})-(\d{1,10})-(\d{1,10})$/;

/** Whether an option of a mount asks for an ID mapping. */
export function isIdMapOption(option: string): boolean {
  return option.includes('idmap') && /^r?idmap(=|$)/.test(option);
}

/**
 * Reads `idmap=uids=0-1000-10#10-2000-5;gids=@0-0-10`.
 *
 * @param linux where a range that begins with `@` finds the container's own mappings
 * @returns undefined when the option brings no mapping
 * @throws Error whose message says which part is wrong
 */
export function parseIdMapOption(
  option: string,
  linux: Pick<Linux, 'uidMappings' | 'gidMappings'> = {},
): IdMaps | undefined {
  const [, mapping] = /^r?idmap=(.*)$/.exec(option) ?? [];
  if (mapping === undefined) return undefined;
  const maps: Record<string, IdMapping[]> = {};
  for (const part of mapping.split(';')) {
    const [, kind, ranges] = /^(uids|gids)=(.+)$/.exec(part) ?? [];
    if (kind === undefined || ranges === undefined || maps[kind] !== undefined)
      throw new Error(`the part ${JSON.stringify(part)}`);
    const own = kind === 'uids' ? linux.uidMappings : linux.gidMappings;
    maps[kind] = ranges.split('#').map((range) => parseRange(range, own ?? []));
  }
  const { uids, gids } = maps;
  if (uids === undefined || gids === undefined) throw new Error(`only one of uids and gids`);
  return { uidMappings: uids, gidMappings: gids };
}

function parseRange(range: string, own: readonly IdMapping[]): IdMapping {
  const [, relative, containerID, to, size] = RANGE.exec(range) ?? [];
  const wrong = `the range ${JSON.stringify(range)}`;
  if (size === undefined || Number(size) === 0) throw new Error(wrong);
  const mapping = { containerID: Number(containerID), hostID: Number(to), size: Number(size) };
  if (!relative) return mapping;
  const base = own.find(
    (entry) =>
      mapping.hostID >= entry.containerID && mapping.hostID < entry.containerID + entry.size,
  );
  if (base === undefined) throw new Error(`${wrong}, which the user namespace does not map`);
  return { ...mapping, hostID: mapping.hostID - base.containerID + base.hostID };
}
