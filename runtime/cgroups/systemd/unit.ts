/** Which unit of systemd a container belongs to. Pure. */

/** A unit for a container's cgroup. */
export interface Unit {
  /** Such as `scow-web.scope`. */
  readonly name: string;
  /** The slice that it is in: `machine.slice`, or `-.slice` for the root. */
  readonly slice: string;
  /** The cgroup, from the one that this systemd begins at; it begins with a slash. */
  readonly path: string;
}

/** What decides which unit a container gets. */
export interface UnitRequest {
  /** The container's ID. */
  readonly id: string;
  /** `linux.cgroupsPath`; empty is the same as absent. */
  readonly cgroupsPath?: string | undefined;
  /** The slice when none is named. */
  readonly defaultSlice: 'system.slice' | 'user.slice';
}

const SLICE = '.slice';
/** systemd.unit(5): the characters of a unit's name, and its length. */
const VALID_NAME = /^[\w:.\\@-]{1,255}$/;

/**
 * Reads `linux.cgroupsPath` as `slice:prefix:name`, which stands for the unit `prefix-name.scope`
 * (config-linux.md, Cgroups Path; runc's convention). Without it the unit is `scow-ID.scope`.
 *
 * @throws Error in one line, with the field's pointer
 */
export function unitOf({ id, cgroupsPath, defaultSlice }: UnitRequest): Unit {
  if (!cgroupsPath) return unit(`scow-${escapeName(id)}.scope`, defaultSlice, '');
  const parts = cgroupsPath.split(':');
  const [slice = '', prefix = '', name = ''] = parts;
  if (parts.length !== 3)
    throw wrong(
      cgroupsPath,
      'with systemd it is slice:prefix:name, such as machine.slice:scow:web',
    );
  if (name === '') throw wrong(cgroupsPath, 'the name, after the second colon, is missing');
  if (name.endsWith(SLICE))
    throw wrong(
      cgroupsPath,
      'a slice holds other units and no processes: give a name without .slice',
    );
  return unit(`${prefix}-${name}.scope`, slice || defaultSlice, cgroupsPath);
}

function unit(name: string, slice: string, asked: string): Unit {
  const parents = expandSlice(slice);
  if (parents === undefined)
    throw wrong(
      asked,
      `${JSON.stringify(slice)} is no slice: give one such as machine.slice, a-b.slice or -.slice`,
    );
  for (const one of [name, slice])
    if (!VALID_NAME.test(one))
      throw wrong(
        asked,
        `${JSON.stringify(one)} is no name of a unit: it has up to 255 letters, digits and : - _ . \\ @`,
      );
  return { name, slice, path: [...parents, name].map((part) => `/${part}`).join('') };
}

function wrong(cgroupsPath: string, why: string): Error {
  return new Error(
    `linux.cgroupsPath ${JSON.stringify(cgroupsPath)}: ${why}  [/linux/cgroupsPath]`,
  );
}

/**
 * The slices that a slice is in, itself the last (systemd.slice(5)): `a-b.slice` is in `a.slice`,
 * and `-.slice` is the root, which has no directory.
 *
 * @returns undefined for what is no name of a slice
 */
export function expandSlice(slice: string): string[] | undefined {
  if (slice === `-${SLICE}`) return [];
  if (!slice.endsWith(SLICE) || slice.includes('/')) return undefined;
  const parts = slice.slice(0, -SLICE.length).split('-');
  if (parts.includes('')) return undefined;
  return parts.map((_, i) => `${parts.slice(0, i + 1).join('-')}${SLICE}`);
}

/** IDs may have characters that units may not: systemd-escape(1). */
function escapeName(id: string): string {
  return id.replace(/[+,]/g, (found) => `\\x${found.charCodeAt(0).toString(16)}`);
}
