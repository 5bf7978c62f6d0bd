/** Rules of mounts and their options. */

import { ID_MAP_OPTION, isIdMapOption, parseIdMapOption } from '../id-map-option.ts';
import type { Mount, RuntimeConfig } from '../runtime-config.ts';
import { pointerTo, render } from '../violation.ts';
import { mapIsSound } from './namespaces.ts';
import { hasNamespace, type Report, type Rule } from './rule.ts';

const MAPS = ['uidMappings', 'gidMappings'] as const;

export const MOUNT_RULES: readonly Rule[] = [
  { about: ['mounts'], check: somethingIsMounted },
  { about: ['mounts'], check: optionsFit },
  {
    about: ['mounts'],
    reads: ['/linux/namespaces', '/linux/uidMappings', '/linux/gidMappings'],
    check: idMaps,
  },
  { about: ['linux', 'mountLabel'], reads: ['/annotations'], check: labelType },
];

/** What a label of SELinux can be for, mount(8); crun's annotation chooses. */
const LABEL_TYPES: readonly string[] = ['context', 'fscontext', 'defcontext', 'rootcontext'];
const LABEL_TYPE = 'run.oci.mount_context_type';

function labelType({ annotations, linux }: RuntimeConfig, report: Report): void {
  const type = annotations?.[LABEL_TYPE];
  if (!linux?.mountLabel || type === undefined || LABEL_TYPES.includes(type)) return;
  report({
    pointer: pointerTo('annotations', LABEL_TYPE),
    found: render(type),
    allowed: `one of ${LABEL_TYPES.join(', ')}`,
  });
}

type Option = readonly [index: number, name: string];

function eachMount(config: RuntimeConfig, check: (mount: Mount, index: number) => void): void {
  for (const [index, mount] of (config.mounts ?? []).entries()) check(mount, index);
}

/** The first option of a mount that has one of some names. */
function find({ options = [] }: Mount, ...names: readonly string[]): Option | undefined {
  for (const [index, name] of options.entries()) if (names.includes(name)) return [index, name];
  return undefined;
}

function isBind(mount: Mount): boolean {
  return mount.type === 'bind' || find(mount, 'bind', 'rbind') !== undefined;
}

/** config.md: without `bind` or `rbind` there must be a filesystem to mount. */
function somethingIsMounted(config: RuntimeConfig, report: Report): void {
  eachMount(config, (mount, index) => {
    if (isBind(mount) || find(mount, 'remount') !== undefined) return;
    if (mount.type !== undefined && mount.type !== '' && mount.type !== 'none') return;
    report({
      pointer: pointerTo('mounts', index, 'type'),
      found: render(mount.type),
      allowed: 'a filesystem of /proc/filesystems, unless the options have bind or rbind',
    });
  });
}

/** Options that mean nothing for a mount would be passed over in silence. */
function optionsFit(config: RuntimeConfig, report: Report): void {
  eachMount(config, (mount, index) => {
    const refuse = ([at, name]: Option, allowed: string): void =>
      report({ pointer: pointerTo('mounts', index, 'options', at), found: render(name), allowed });
    const copyUp = find(mount, 'tmpcopyup');
    if (copyUp !== undefined && (isBind(mount) || mount.type !== 'tmpfs'))
      refuse(copyUp, 'this option only with the type "tmpfs"');
    const bind = find(mount, 'copy-symlink', 'src-nofollow');
    if (bind !== undefined && !isBind(mount)) refuse(bind, 'this option only with bind or rbind');
    const copy = find(mount, 'copy-symlink');
    const other = find(mount, 'src-nofollow', 'dest-nofollow');
    if (copy !== undefined && other !== undefined) refuse(other, 'nothing beside copy-symlink');
  });
}

/** config.md: an ID-mapped mount without a map of its own takes the user namespace's. */
function idMaps(config: RuntimeConfig, report: Report): void {
  eachMount(config, (mount, index) => {
    for (const key of MAPS) {
      const map = mount[key];
      if (map !== undefined) mapIsSound(pointerTo('mounts', index, key), map, report);
    }
    const [missing, given] = MAPS.map((key) => (mount[key] ?? []).length > 0);
    const at = (mount.options ?? []).findIndex(isIdMapOption);
    if (missing !== given) {
      const absent = missing ? 'gidMappings' : 'uidMappings';
      const allowed = `mappings of both: ${MAPS.join(' and ')}`;
      report({
        pointer: pointerTo('mounts', index, absent),
        found: render(mount[absent]),
        allowed,
      });
    } else if (given && !isBind(mount)) {
      const allowed = 'mappings only with bind or rbind in the options';
      report({ pointer: pointerTo('mounts', index, MAPS[0]), found: 'an array', allowed });
    } else if (at >= 0) idMapOption(config, mount, index, at, report);
  });
}

function idMapOption(
  config: RuntimeConfig,
  mount: Mount,
  index: number,
  at: number,
  report: Report,
): void {
  const option = mount.options?.[at] as string;
  const pointer = pointerTo('mounts', index, 'options', at);
  const found = render(option);
  const hasMap = (mount.uidMappings ?? []).length > 0;
  if (!isBind(mount)) {
    report({ pointer, found, allowed: 'this option only with bind or rbind' });
    return;
  }
  try {
    const own = parseIdMapOption(option, config.linux);
    if (own !== undefined && hasMap)
      report({ pointer, found, allowed: 'an option without a mapping beside uidMappings' });
    else if (own !== undefined)
      for (const key of MAPS)
        mapIsSound(pointer, own[key], (violation) => report({ ...violation, pointer }));
    else if (!hasMap && !hasNamespace(config, 'user'))
      report({
        pointer,
        found,
        allowed: 'this option only with uidMappings and gidMappings, or with a user namespace',
      });
  } catch (error) {
    report({ pointer, found: (error as Error).message, allowed: ID_MAP_OPTION });
  }
}
