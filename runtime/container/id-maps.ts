import type { IdMapping, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { readFileSync, writeFileSync } from '../linux/files.ts';
import { reason } from '../linux/reason.ts';

/**
 * The configuration with maps for a new user namespace that has none: the user's own IDs, the only
 * ones that an ordinary user may map without help, are root's in the container.
 *
 * @throws Error in one line for root, whose own IDs must not be a container's by default
 */
export function withOwnMaps(config: RuntimeConfig): RuntimeConfig {
  const { namespaces = [], uidMappings = [], gidMappings = [] } = config.linux ?? {};
  const isNew = namespaces.some(({ type, path }) => type === 'user' && !path);
  if (!isNew || uidMappings.length > 0 || gidMappings.length > 0) return config;
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  if (uid === 0)
    throw new Error(
      'the user namespace has no users: map IDs of the host to those of the container  [/linux/uidMappings]',
    );
  const own = (hostID: number): IdMapping[] => [{ containerID: 0, hostID, size: 1 }];
  return { ...config, linux: { ...config.linux, uidMappings: own(uid), gidMappings: own(gid) } };
}

/**
 * Refuses maps that are not those of the user namespace which init has joined.
 *
 * @param pid init's PID
 * @throws Error in one line
 */
export function checkIdMaps(config: RuntimeConfig, pid: number): void {
  for (const kind of ['uid', 'gid'] as const) {
    const wanted = config.linux?.[`${kind}Mappings`] ?? [];
    if (wanted.length === 0) continue;
    const found = readFileSync(`/proc/${pid}/${kind}_map`, 'latin1').trim();
    const lines = found.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
    const isThere = ({ containerID, hostID, size }: IdMapping) =>
      lines.some(
        ([first, host, count]) => first === containerID && host === hostID && count === size,
      );
    if (lines.length !== wanted.length || !wanted.every(isThere))
      throw new Error(
        `the user namespace that is joined has another ${kind} map: leave the mappings out, for only a new namespace takes some  [/linux/${kind}Mappings]`,
      );
  }
}

/**
 * Writes the ID maps of init's new user namespace (user_namespaces(7)). An ordinary user may
 * map their own IDs alone; for more, shadow's newuidmap and newgidmap read /etc/subuid and
 * /etc/subgid.
 *
 * @param pid init's PID
 * @throws Error in one line when the kernel or a helper refuses
 */
export function writeIdMaps(config: RuntimeConfig, pid: number): void {
  const { uidMappings = [], gidMappings = [] } = config.linux ?? {};
  const privileged = process.geteuid?.() === 0;
  if (!privileged && isOwn(gidMappings, process.getegid?.() ?? -1)) deny(pid);
  write('uid', uidMappings, pid, privileged || isOwn(uidMappings, process.geteuid?.() ?? -1));
  write('gid', gidMappings, pid, privileged || isOwn(gidMappings, process.getegid?.() ?? -1));
}

/** The one map that the kernel takes from an ordinary user. */
function isOwn(mappings: readonly IdMapping[], id: number): boolean {
  return mappings.length === 1 && mappings[0]?.hostID === id && mappings[0].size === 1;
}

/** An ordinary user gives setgroups(2) up first: it could drop a group that denies access. */
function deny(pid: number): void {
  writeFileSync(`/proc/${pid}/setgroups`, 'deny');
}

function write(
  kind: 'uid' | 'gid',
  maps: readonly IdMapping[],
  pid: number,
  direct: boolean,
): void {
  const pointer = `/linux/${kind}Mappings`;
  try {
    if (direct)
      writeFileSync(
        `/proc/${pid}/${kind}_map`,
        maps.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join(''),
      );
    else callHelper(kind, maps, pid);
  } catch (cause) {
    throw new Error(`cannot write the ${kind} map: ${explain(kind, cause)}  [${pointer}]`, {
      cause,
    });
  }
}

function callHelper(kind: 'uid' | 'gid', maps: readonly IdMapping[], pid: number): void {
  const numbers = maps.flatMap(({ containerID, hostID, size }) => [containerID, hostID, size]);
  // Loaded here: most containers never need it, and all would wait for it.
  const { execFileSync } = process.getBuiltinModule('node:child_process');
  execFileSync(`new${kind}map`, [pid, ...numbers].map(String), {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
}

function explain(kind: 'uid' | 'gid', cause: unknown): string {
  const { code, stderr } = cause as NodeJS.ErrnoException & { stderr?: string };
  if (stderr) return stderr.trim();
  if (code === 'ENOENT')
    return `new${kind}map is missing: install the package uidmap (Debian) or shadow-utils (Fedora), or map only your own ID`;
  return reason(cause);
}
