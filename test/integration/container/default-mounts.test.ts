import { lines, type Runtime } from '../../helpers/container.ts';
import { type MountLine, parseMountinfo } from '../../helpers/mountinfo.ts';
import { cleanUp, ENGINES } from '../../helpers/scow.ts';

afterEach(cleanUp);

const MASKS = ['/proc/acpi', '/proc/keys', '/proc/timer_list', '/sys/firmware'];

function mountsUnder(runtime: Runtime): MountLine[] {
  return parseMountinfo(lines(runtime, 'cat /proc/self/mountinfo'));
}

/** What is equal under all runtimes, by mount point. */
function comparable(mounts: readonly MountLine[]) {
  const shown = mounts
    .filter(({ point }) => !MASKS.includes(point))
    .map(({ point, root, type, options, tags }) => ({
      point,
      root: root.replace(/bundle-\d+/, 'bundle'),
      type,
      options,
      tags,
    }));
  return shown.toSorted((a, b) => (a.point < b.point ? -1 : 1));
}

/** The filesystem's own options of what is no copy of a mount of the host. */
function superOptions(mounts: readonly MountLine[]) {
  return Object.fromEntries(
    mounts
      .filter(({ point }) => point.startsWith('/dev') || point === '/proc')
      .map(({ point, source, superOptions }) => [point, `${source} ${superOptions}`]),
  );
}

describe.each(ENGINES)('the mounts of the default configuration under %s', (engine) => {
  it('are those of crun', () => {
    const mounts = mountsUnder(engine);
    const peer = mountsUnder('crun');
    expect(comparable(mounts)).toEqual(comparable(peer));
    expect(superOptions(mounts)).toEqual(superOptions(peer));
  });

  it('are those of runc, but for the cgroup hierarchy', () => {
    // Where version 1 is mounted too, runc shows its hierarchies, scow the unified one.
    const others = (mounts: MountLine[]) =>
      mounts.filter(({ point }) => !point.startsWith('/sys/fs/cgroup'));
    const mounts = others(mountsUnder(engine));
    const peer = others(mountsUnder('runc'));
    expect(comparable(mounts)).toEqual(comparable(peer));
    expect(superOptions(mounts)).toEqual(superOptions(peer));
  });

  it('hide the same paths as runc does', () => {
    const masked = (runtime: Runtime) =>
      mountsUnder(runtime)
        .filter(({ point }) => MASKS.includes(point))
        .map(({ point, root }) => `${point} ${root}`)
        .toSorted();
    expect(masked(engine)).toEqual(masked('runc'));
  });

  it('hide paths so that nothing is read or written', () => {
    const script = `
      ls -A /proc/acpi /sys/firmware; cat /proc/keys /proc/timer_list
      touch /proc/acpi/new || echo none is made
      echo lost > /proc/keys && cat /proc/keys`;
    expect(lines(engine, `exec 2>/dev/null; ${script}`)).toEqual([
      '/proc/acpi:',
      '',
      '/sys/firmware:',
      'none is made',
    ]);
  });

  it('keep what is read-only from being written', () => {
    const script = `
      for path in /new /proc/sys/kernel/hostname /sys/new /sys/fs/cgroup/new; do
        (: > $path) 2>&1 | sed 's/^.*: //'
      done`;
    expect(lines(engine, script)).toEqual(Array(4).fill('Read-only file system'));
  });

  it('keep one of a shared hierarchy from the host', () => {
    const script = 'cat /proc/self/mountinfo';
    const through = ['unshare', '--mount', '--propagation=shared'];
    const mounts = parseMountinfo(lines(engine, script, undefined, { through }));
    expect(mounts.filter(({ tags }) => tags.some((tag) => tag.startsWith('shared')))).toEqual([]);
  });
});
