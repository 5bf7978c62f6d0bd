import { posix } from 'node:path';
import type { ImageExecution } from '../../schemas/image.ts';
import type { Mount } from '../../schemas/runtime-config.ts';

/** Whose a directory is, and who may do what in it. */
export interface Permissions {
  /** Permissions with setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What runtimes, and engines for their volumes, give a directory that they make. */
const MADE: Permissions = { mode: 0o755, uid: 0, gid: 0 };

/**
 * Volumes keep what a program writes out of the root filesystem. Without a store for volumes
 * that's a tmpfs each, parents before what lies below them. Who may write there is as in the
 * image. It is spelled out, since runtimes have different ideas of a tmpfs of which nothing is
 * said, and all of them would give it to root.
 *
 * @param find looks a directory up in the image's root filesystem
 * @throws Error in one line for a volume that is no absolute path, or is the root
 */
export function volumeMounts(
  volumes: ImageExecution['Volumes'],
  find: (path: string) => Permissions | undefined,
): Mount[] {
  return Object.keys(volumes ?? {})
    .sort()
    .map((destination) => {
      if (!destination.startsWith('/') || posix.normalize(destination) === '/')
        throw new Error(
          `the image's Volumes has ${JSON.stringify(destination)}: want an absolute path other than /`,
        );
      const { mode, uid, gid } = find(destination) ?? MADE;
      return {
        destination,
        type: 'tmpfs',
        source: 'tmpfs',
        options: [
          ...['rw', 'nosuid', 'nodev', 'noexec', 'relatime', `mode=${mode.toString(8)}`],
          ...(uid === 0 ? [] : [`uid=${uid}`]),
          ...(gid === 0 ? [] : [`gid=${gid}`]),
        ],
      };
    });
}
