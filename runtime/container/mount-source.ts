import type { IdMapping, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { AT, MOUNT_ATTR, O, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from '../linux/constants.ts';
import { sleepInNewUserNamespace } from '../linux/elsewhere.ts';
import { closeSync, openSync, writeFileSync } from '../linux/files.ts';
import { codeOf, reason } from '../linux/reason.ts';
import { syscall, writeWord } from '../linux/syscall.ts';
import { idMapOf } from '../plan/bind.ts';
import { parseMountOptions } from '../plan/mount-options.ts';
import type { IdMap, TreeSource } from '../plan/plan.ts';

const MOUNT_ATTR_SIZE = 32;

/**
 * Copies a mount of the host, detached, and maps its IDs when that is asked for.
 *
 * @param pointer JSON pointer of what asked for the mount
 * @returns its descriptor
 * @throws Error in one line
 */
export function openMountSource(source: TreeSource, pointer: string): number {
  const { path, recursive, nofollow, idMap } = source;
  const flags =
    OPEN_TREE_CLONE |
    OPEN_TREE_CLOEXEC |
    (recursive ? AT.RECURSIVE : 0) |
    (nofollow ? AT.SYMLINK_NOFOLLOW : 0);
  let tree: number;
  try {
    tree = syscall('open_tree', AT.FDCWD, path, flags);
  } catch (cause) {
    throw new Error(`cannot open ${path}: ${reason(cause)}  [${pointer}]`, { cause });
  }
  try {
    if (idMap !== undefined) mapIds(tree, path, idMap);
    return tree;
  } catch (error) {
    closeSync(tree);
    throw error;
  }
}

/**
 * Maps the IDs of a copy that init has made, of what the container has mounted before.
 *
 * @param index the mount's place in the configuration
 * @throws Error in one line
 */
export function mapMount(config: RuntimeConfig, index: number, tree: number): void {
  const mount = config.mounts?.[index];
  if (mount === undefined) throw new Error(`init sent mount ${index}, which does not exist`);
  const idMap = idMapOf(config, index, parseMountOptions(mount, `/mounts/${index}`));
  if (idMap !== undefined) mapIds(tree, mount.source ?? '', idMap);
}

/** Why mount_setattr(2) refuses an ID mapping. */
const HINTS: Readonly<Record<string, string>> = {
  EINVAL: 'its filesystem has no ID-mapped mounts on this kernel',
  EPERM:
    'the mount is ID-mapped already, or its filesystem belongs to a user namespace of which scow is not root',
};

function explain(cause: unknown): string {
  const hint = HINTS[codeOf(cause) ?? ''];
  return `${reason(cause)}${hint === undefined ? '' : `: ${hint}`}`;
}

/** mount_setattr(2) with MOUNT_ATTR_IDMAP: the mapping is that of a user namespace. */
function mapIds(tree: number, path: string, idMap: IdMap): void {
  let namespace: number | undefined;
  try {
    namespace =
      'namespace' in idMap
        ? openSync(idMap.namespace, O.RDONLY | O.CLOEXEC)
        : userNamespace(idMap.uidMappings, idMap.gidMappings);
    const attributes = new DataView(new ArrayBuffer(MOUNT_ATTR_SIZE));
    writeWord(attributes, 0, MOUNT_ATTR.IDMAP);
    writeWord(attributes, 24, namespace);
    const flags = AT.EMPTY_PATH | (idMap.recursive ? AT.RECURSIVE : 0);
    const structure = new Uint8Array(attributes.buffer);
    syscall('mount_setattr', tree, '', flags, structure, MOUNT_ATTR_SIZE);
  } catch (cause) {
    throw new Error(`cannot map the IDs of ${path}: ${explain(cause)}  [${idMap.pointer}]`, {
      cause,
    });
  } finally {
    if (namespace !== undefined) closeSync(namespace);
  }
}

/** A user namespace with these maps and no process in it. @returns its descriptor */
function userNamespace(uids: readonly IdMapping[], gids: readonly IdMapping[]): number {
  const { pid, end } = sleepInNewUserNamespace();
  try {
    const lines = (maps: readonly IdMapping[]) =>
      maps.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
    writeFileSync(`/proc/${pid}/uid_map`, lines(uids));
    writeFileSync(`/proc/${pid}/gid_map`, lines(gids));
    return openSync(`/proc/${pid}/ns/user`, O.RDONLY | O.CLOEXEC);
  } finally {
    end();
  }
}
