import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findHierarchy } from '../../runtime/cgroups/hierarchy.ts';
import { cgroupsBelow, rootOf, testDirectory } from './scow.ts';

/** Everything that a failed command could leave on the host. */
export interface Traces {
  readonly containers: readonly string[];
  readonly cgroups: readonly string[];
  readonly mounts: readonly string[];
  readonly processes: readonly string[];
  /** The names in the bundle, with their types. */
  readonly files: readonly string[];
}

/**
 * Looks for traces of a container.
 *
 * @param id the container's ID, which is a part of its cgroup's name
 * @param bundle the bundle, which may be missing
 * @param root the directory of the containers' state
 * @param directory what the mounts and the processes to look for have to do with
 */
export function traces(
  id: string,
  bundle: string,
  root = rootOf('scow'),
  directory = testDirectory(),
): Traces {
  return {
    containers: namesIn(root),
    cgroups: cgroupsNamed(id),
    mounts: mountsOf(directory),
    processes: initsOf(directory),
    files: filesIn(bundle),
  };
}

function namesIn(directory: string): string[] {
  return existsSync(directory) && lstatSync(directory).isDirectory() ? readdirSync(directory) : [];
}

function cgroupsNamed(id: string): string[] {
  const { mountPoint } = findHierarchy();
  return cgroupsBelow(mountPoint).filter((path) => path.split('/').includes(id));
}

/** The host's mounts on or of anything below a directory. */
export function mountsOf(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .filter((line) => line.includes(directory));
}

/**
 * Processes whose root filesystem is below a directory: an init, or a program that it became. The
 * name is looked for in what is mounted, not where: a mount of this test is copied into every
 * mount namespace that other tests make meanwhile.
 */
function initsOf(directory: string): string[] {
  const own = readlinkSync('/proc/self/ns/mnt');
  // The directory of temporary files may be a filesystem of its own.
  const name = directory.slice(tmpdir().length);
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      if (readlinkSync(`/proc/${pid}/ns/mnt`) === own) return false;
      return rootsIn(readFileSync(`/proc/${pid}/mountinfo`, 'latin1')).some((root) =>
        `${root}/`.includes(`${name}/`),
      );
    } catch {
      return false;
    }
  });
}

/** The directories that are mounted, each in its own filesystem: the fourth field, proc(5). */
function rootsIn(mountinfo: string): string[] {
  return mountinfo.split('\n').map((line) => line.split(' ')[3] ?? '');
}

function filesIn(bundle: string): string[] {
  if (!existsSync(bundle) || !lstatSync(bundle).isDirectory()) return [];
  return readdirSync(bundle, { recursive: true, withFileTypes: true })
    .map(
      (entry) =>
        `${join(entry.parentPath, entry.name)} ${lstatSync(join(entry.parentPath, entry.name)).mode.toString(8)}`,
    )
    .sort();
}
