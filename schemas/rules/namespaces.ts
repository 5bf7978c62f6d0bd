/** Rules about namespaces, and about what needs one. */

import type { IdMapping, RuntimeConfig } from '../runtime-config.ts';
import { pointerTo, render } from '../violation.ts';
import { hasNamespace, hasNewNamespace, type Report, type Rule } from './rule.ts';

const NAMESPACES = '/linux/namespaces';
const MAPS = ['uidMappings', 'gidMappings'] as const;

/** user_namespaces(7): the most lines that a map can have. */
const MOST_MAPPINGS = 340;

const MOST_NAME_BYTES = 64;

export const NAMESPACE_RULES: readonly Rule[] = [
  { about: ['linux', 'namespaces'], check: oneOfEachType },
  { reads: [NAMESPACES, '/hostname', '/domainname'], check: namesNeedUts },
  { reads: ['/hostname', '/domainname'], check: namesFit },
  { reads: [NAMESPACES, '/linux/uidMappings', '/linux/gidMappings'], check: mapsAndUserNamespace },
  {
    about: ['linux', 'namespaces'],
    reads: ['/linux/uidMappings', '/linux/gidMappings', '/process/user'],
    check: processIsMapped,
  },
  { about: ['linux', 'timeOffsets'], reads: [NAMESPACES], check: offsetsNeedTime },
  { about: ['linux', 'netDevices'], reads: [NAMESPACES], check: devicesNeedNetwork },
  { about: ['linux', 'netDevices'], check: devicesNames },
];

/** config-linux.md: two namespaces of one type are an error. */
function oneOfEachType(config: RuntimeConfig, report: Report): void {
  const seen = new Set<string>();
  for (const [index, { type }] of (config.linux?.namespaces ?? []).entries()) {
    if (seen.has(type)) {
      report({
        pointer: pointerTo('linux', 'namespaces', index, 'type'),
        found: `${render(type)} once more`,
        allowed: 'each type once',
      });
    }
    seen.add(type);
  }
}

/** In the runtime's UTS namespace these would change the host's names. */
function namesNeedUts(config: RuntimeConfig, report: Report): void {
  if (hasNamespace(config, 'uts')) return;
  for (const key of ['hostname', 'domainname'] as const) {
    const value = config[key];
    if (value === undefined || value === '') continue;
    report({
      pointer: pointerTo(key),
      found: render(value),
      allowed: `a ${key} only with a namespace of type "uts" in ${NAMESPACES}`,
    });
  }
}

/** uname(2): a name has 64 bytes at the most, which may be fewer characters. */
function namesFit(config: RuntimeConfig, report: Report): void {
  for (const key of ['hostname', 'domainname'] as const) {
    const value = config[key] ?? '';
    if (new TextEncoder().encode(value).length <= MOST_NAME_BYTES) continue;
    const allowed = `a string of at most ${MOST_NAME_BYTES} bytes in UTF-8`;
    report({ pointer: pointerTo(key), found: render(value), allowed });
  }
}

/** A map belongs to a user namespace. (A new one may do without both: then the runtime chooses.) */
function mapsAndUserNamespace(config: RuntimeConfig, report: Report): void {
  for (const key of MAPS) {
    const map = config.linux?.[key];
    const pointer = pointerTo('linux', key);
    if (map === undefined || map.length === 0) {
      const allowed = 'at least one mapping, like the other IDs of the user namespace';
      if (hasNewNamespace(config, 'user') && MAPS.some((other) => config.linux?.[other]?.length))
        report({ pointer, found: render(map), allowed });
      continue;
    }
    if (!hasNamespace(config, 'user')) {
      const allowed = `mappings only with a namespace of type "user" in ${NAMESPACES}`;
      report({ pointer, found: render(map), allowed });
    }
    mapIsSound(pointer, map, report);
  }
}

/** user_namespaces(7): what the kernel takes as a map. */
export function mapIsSound(pointer: string, map: readonly IdMapping[], report: Report): void {
  if (map.length > MOST_MAPPINGS) {
    report({
      pointer,
      found: `${map.length} mappings`,
      allowed: `at most ${MOST_MAPPINGS} mappings`,
    });
  }
  for (const key of ['containerID', 'hostID'] as const) {
    const inOrder = [...map.entries()].sort(([, a], [, b]) => a[key] - b[key]);
    let end = 0;
    for (const [index, mapping] of inOrder) {
      const last = mapping[key] + mapping.size - 1;
      const found = `${mapping[key]} to ${last}`;
      if (mapping[key] < end) {
        const allowed = 'a range that no other mapping of the array overlaps';
        report({ pointer: pointer + pointerTo(index, key), found, allowed });
      } else if (last > 0xfffffffe) {
        const allowed = 'a range that ends at 4294967294 at the most';
        report({ pointer: pointer + pointerTo(index, key), found, allowed });
      }
      end = Math.max(end, last + 1);
    }
  }
}

/** setuid(2), setgid(2) and setgroups(2) refuse an ID that the user namespace doesn't map. */
function processIsMapped(config: RuntimeConfig, report: Report): void {
  const { process, linux } = config;
  if (process === undefined || !hasNewNamespace(config, 'user')) return;
  const { uid, gid, additionalGids = [] } = process.user;
  isMapped(report, 'uidMappings', linux?.uidMappings, uid, 'uid');
  isMapped(report, 'gidMappings', linux?.gidMappings, gid, 'gid');
  for (const [index, group] of additionalGids.entries()) {
    isMapped(report, 'gidMappings', linux?.gidMappings, group, 'additionalGids', index);
  }
}

function isMapped(
  report: Report,
  key: string,
  map: readonly IdMapping[] | undefined,
  id: number,
  ...place: readonly (string | number)[]
): void {
  if (map === undefined || map.length === 0) return;
  if (map.some(({ containerID, size }) => id >= containerID && id < containerID + size)) return;
  report({
    pointer: pointerTo('process', 'user', ...place),
    found: render(id),
    allowed: `an ID of the container that /linux/${key} maps`,
  });
}

/** time_namespaces(7): offsets are set before the first process enters. */
function offsetsNeedTime(config: RuntimeConfig, report: Report): void {
  const offsets = config.linux?.timeOffsets;
  if (offsets === undefined || Object.keys(offsets).length === 0) return;
  if (hasNewNamespace(config, 'time')) return;
  report({
    pointer: '/linux/timeOffsets',
    found: render(offsets),
    allowed: `offsets only with a new namespace of type "time" in ${NAMESPACES}`,
  });
}

/** A network device is moved out of the runtime's network namespace, so there must be another. */
function devicesNeedNetwork(config: RuntimeConfig, report: Report): void {
  const devices = config.linux?.netDevices;
  if (devices === undefined || Object.keys(devices).length === 0) return;
  if (hasNamespace(config, 'network')) return;
  report({
    pointer: '/linux/netDevices',
    found: render(devices),
    allowed: `network devices only with a namespace of type "network" in ${NAMESPACES}`,
  });
}

/** config-linux.md: a name that is taken is an error; the second of two would find it so. */
function devicesNames(config: RuntimeConfig, report: Report): void {
  const seen = new Set<string>();
  for (const [key, { name }] of Object.entries(config.linux?.netDevices ?? {})) {
    const inside = name ?? key;
    const pointer = pointerTo('linux', 'netDevices', key, ...(name === undefined ? [] : ['name']));
    // One %d is the kernel's to fill in; it takes no other format.
    if (/%/.test(inside.replace('%d', ''))) {
      report({
        pointer,
        found: render(inside),
        allowed: 'a name with at most one "%d" and no other "%"',
      });
    } else if (seen.has(inside) && !inside.includes('%d')) {
      report({ pointer, found: `${render(inside)} once more`, allowed: 'each name once' });
    }
    seen.add(inside);
  }
}
