import { O } from '../linux/constants.ts';
import { closeSync, openSync, readFileSync, writeSync } from '../linux/files.ts';
import { join } from '../linux/path.ts';
import { codeOf, reason } from '../linux/reason.ts';
import { type Cgroup, REMOVED } from './cgroup.ts';
import { enableControllers, whyMissing } from './controllers.ts';
import { findHierarchy } from './hierarchy.ts';
import type { Setting } from './settings.ts';

/**
 * Writes settings into the files of a cgroup.
 *
 * @throws Error in one line that names the field, the file and what to do; earlier settings
 *   have been written then
 */
export function applySettings(cgroup: Cgroup, settings: readonly Setting[]): void {
  const again: Setting[] = [];
  for (const setting of settings) {
    const code = tryWrite(cgroup, setting);
    if (code === 'EINVAL') again.push(setting);
  }
  // Some values are valid only beside another's new one, whose turn came later: a burst above
  // the old quota, a weight while the group was idle.
  for (const setting of again) {
    if (tryWrite(cgroup, setting) === undefined) continue;
    throw new Error(
      `cannot write ${JSON.stringify(textOf(cgroup, setting))} to ${setting.file} of cgroup ${cgroup.path}: ` +
        `invalid argument (EINVAL)${hint(cgroup, setting.file)}  [${setting.pointer}]`,
    );
  }
}

/**
 * Writes settings into the files of a cgroup that is in use. Where one is refused, the files say again
 * what they said before, but for `io.max`, in which lines cannot be taken back.
 *
 * @param then what else has to succeed, or the settings are taken back, too
 * @throws Error as `applySettings` does, and what `then` throws
 */
export function changeSettings(
  cgroup: Cgroup,
  settings: readonly Setting[],
  then: () => void = () => {},
): void {
  const before = settings.map(({ file, pointer }) => ({
    file,
    pointer,
    value: read(join(cgroup.path, file)) ?? '',
  }));
  try {
    applySettings(cgroup, settings);
    then();
  } catch (error) {
    for (const setting of before.toReversed()) restore(cgroup, setting);
    throw error;
  }
}

function restore(cgroup: Cgroup, { file, value }: Setting & { value: string }): void {
  if (file.startsWith('io.')) return;
  try {
    write(join(cgroup.path, file), `${value}\n`);
  } catch {
    // The first error is the one to be told.
  }
}

/**
 * @param enabled its controllers were enabled again because of it
 * @returns EINVAL, which a later setting may cure
 */
function tryWrite(cgroup: Cgroup, setting: Setting, enabled = false): 'EINVAL' | undefined {
  try {
    // A value may have several lines, each a command of its own.
    for (const line of textOf(cgroup, setting).split('\n'))
      if (line !== '') write(join(cgroup.path, setting.file), line);
    return undefined;
  } catch (cause) {
    const code = codeOf(cause);
    if (code === 'EINVAL') return 'EINVAL';
    if (code === 'ENOENT') {
      if (setting.dispensable) return undefined;
      if (setting.instead !== undefined) return tryWrite(cgroup, setting.instead, enabled);
      // Whoever manages the cgroups above may disable a controller that it knows no use for.
      if (!enabled) {
        enableControllers(findHierarchy().mountPoint, cgroup.path);
        return tryWrite(cgroup, setting, true);
      }
    }
    throw new Error(
      `cannot set ${setting.file} of cgroup ${cgroup.path}: ${explain(cause, cgroup, setting)}  [${setting.pointer}]`,
      { cause },
    );
  }
}

function explain(cause: unknown, cgroup: Cgroup, { file }: Setting): string {
  const [controller = ''] = file.split('.');
  if (!cgroup.exists()) return REMOVED;
  if (codeOf(cause) === 'ENOENT')
    return (
      whyMissing(cgroup.path, controller) ??
      `there is no such file: this kernel, or its configuration, does not have ${file}`
    );
  if (codeOf(cause) === 'ENODEV' && file.startsWith('io.'))
    return 'there is no such block device, or it cannot be limited (ENODEV)';
  return `${reason(cause)}${hint(cgroup, file)}`;
}

function hint(cgroup: Cgroup, file: string): string {
  if (!file.startsWith('cpuset.')) return '';
  const there = read(join(cgroup.path, '..', `${file}.effective`));
  return there === undefined ? '' : `; there are ${there}`;
}

function textOf(cgroup: Cgroup, { file, value }: Setting): string {
  return typeof value === 'string' ? value : value(read(join(cgroup.path, file)) ?? '');
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1').trim();
  } catch {
    return undefined;
  }
}

/** Not writeFileSync: its O_CREAT makes a missing file EACCES or EPERM on cgroupfs. */
function write(file: string, value: string): void {
  const fd = openSync(file, O.WRONLY);
  try {
    writeSync(fd, value);
  } finally {
    closeSync(fd);
  }
}
