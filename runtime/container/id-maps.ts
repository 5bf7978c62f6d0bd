import { writeFileSync } from 'node:fs';
import type { IdMapping, RuntimeConfig } from '../../schemas/runtime-config.ts';
import { reason } from '../linux/reason.ts';

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
