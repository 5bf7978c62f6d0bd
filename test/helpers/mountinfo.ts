/** A line of /proc/[pid]/mountinfo, proc(5). */
export interface MountLine {
  readonly id: string;
  readonly parent: string;
  /** What of the filesystem is mounted. */
  readonly root: string;
  readonly point: string;
  /** Of the mount. */
  readonly options: string;
  /** `shared:N`, `master:N`, `unbindable`. */
  readonly tags: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Of the filesystem. */
  readonly superOptions: string;
}

export function parseMountinfo(lines: readonly string[]): MountLine[] {
  return lines.map((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [id = '', parent = '', , root = '', point = '', options = '', ...tags] =
      before.split(' ');
    const [type = '', source = '', superOptions = ''] = after.split(' ');
    return { id, parent, root, point, options, tags, type, source, superOptions };
  });
}

/** The topmost mount at a path. */
export function mountAt(mounts: readonly MountLine[], point: string): MountLine | undefined {
  return mounts.findLast((mount) => mount.point === point);
}
