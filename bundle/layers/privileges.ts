import { readFileSync } from 'node:fs';
import { latin1 } from './names.ts';
import type { Xattr } from './tar/entry.ts';

/**
 * What the one who unpacks may do:
 * - `full`: everything, as root on the host;
 * - `namespace`: owners, but no devices, as root of a user namespace;
 * - `rootless`: nothing that needs a privilege.
 */
export type Privileges = 'full' | 'namespace' | 'rootless';

/** capabilities(7) */
const CAP_CHOWN = 0n;
const CAP_MKNOD = 27n;

const ALL_IDS = /^\s*0\s+0\s+4294967295\s*$/;
const ONE_ID = /^\s*\d+\s+\d+\s+1\s*$/;

/** Finds out what this process may do, by its capabilities and its user namespace. */
export function detectPrivileges(): Privileges {
  const status = readFileSync('/proc/self/status', 'latin1');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (capability: bigint) => ((effective >> capability) & 1n) === 1n;
  if (!has(CAP_CHOWN)) return 'rootless';
  const map = readFileSync('/proc/self/uid_map', 'latin1');
  // Where there is nobody else nothing can be given to others.
  if (ONE_ID.test(map)) return 'rootless';
  // A capability to make devices is worth nothing in a user namespace other than the first.
  const first = ALL_IDS.test(map);
  return first && has(CAP_MKNOD) ? 'full' : 'namespace';
}

const ROOTLESS_OWNER = 'user.rootlesscontainers';
/** The protocol's value for “as it is”. */
const UNCHANGED = 0xffff_ffff;

/**
 * The extended attribute in which rootless tools keep the owner that a file can't have: a
 * protocol buffer with a uid in field 1 and a gid in field 2 (rootlesscontaine.rs).
 *
 * @returns undefined when the owner is root, which is what the files stand for anyway
 */
export function rootlessOwner(uid: number, gid: number): Xattr | undefined {
  if (uid === 0 && gid === 0) return undefined;
  const value = [0x08, ...varint(uid || UNCHANGED), 0x10, ...varint(gid || UNCHANGED)];
  return { name: Buffer.from(ROOTLESS_OWNER), value: Buffer.from(value) };
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return bytes;
}

/**
 * The owner that `rootlessOwner` wrote down.
 *
 * @returns fields only for what is not root's; none where the attribute is absent or damaged
 */
export function parseRootlessOwner(xattrs: readonly Xattr[]): {
  readonly uid?: number;
  readonly gid?: number;
} {
  const value = xattrs.find(({ name }) => latin1(name) === ROOTLESS_OWNER)?.value;
  const ids: { uid?: number; gid?: number } = {};
  for (let at = 0; value !== undefined && at < value.length; ) {
    const field = { 8: 'uid', 16: 'gid' }[value[at++] as number] as 'uid' | 'gid' | undefined;
    let id = 0;
    for (let scale = 1; field !== undefined; scale *= 0x80) {
      const byte = value[at++] ?? 0;
      id += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    if (field === undefined || id > UNCHANGED) return {};
    if (id !== UNCHANGED) ids[field] = id;
  }
  return ids;
}

/** Attributes of the host and its security modules: no image may set them. */
const HOST_ONLY = ['security.selinux', 'system.nfs4_acl'];

/** Attributes that steer overlay mounts, which layers of an image can become part of. */
const OVERLAY = /^(trusted|user)\.overlay\./;

/** Whether an extended attribute is one that a layer may bring. */
export function mayBring(name: Uint8Array, privileges: Privileges): boolean {
  const text = latin1(name);
  if (HOST_ONLY.includes(text) || OVERLAY.test(text)) return false;
  return !(privileges === 'rootless' && text === ROOTLESS_OWNER);
}

/** What the names of an overlay mount's own attributes begin with (see `userxattr`, overlayfs). */
export function overlayPrefix(privileges: Privileges): string {
  return privileges === 'full' ? 'trusted.overlay.' : 'user.overlay.';
}
