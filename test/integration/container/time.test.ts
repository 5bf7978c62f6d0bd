import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  both,
  type Edit,
  linuxOf,
  mapped,
  mounting,
  portable,
  run,
  runBundle,
  shell,
} from '../../helpers/container.ts';
import { bundleOf, cleanUp, ENGINES, newId, scow } from '../../helpers/scow.ts';

afterEach(cleanUp);

const MONOTONIC = 5_000_000;
const BOOTTIME = 9_000_000;

const offset: Edit = (config) => {
  const linux = linuxOf(config);
  linux.namespaces = [...(linux.namespaces ?? []), { type: 'time' }];
  linux.timeOffsets = {
    monotonic: { secs: MONOTONIC, nanosecs: 500_000_000 },
    boottime: { secs: BOOTTIME },
  };
};

const without =
  (type: string): Edit =>
  (config) => {
    const linux = linuxOf(config);
    linux.namespaces = (linux.namespaces ?? []).filter((found) => found.type !== type);
  };

/** The host's perl, to make the system call that no program of busybox makes. */
const perl = mounting(
  ...['/usr', '/lib', '/lib64'].map((path) => ({
    destination: path,
    type: 'bind',
    source: path,
    options: ['rbind', 'ro'],
  })),
);

/** CLOCK_MONOTONIC by clock_gettime(2), boot time by proc_uptime(5), and the shell's PID. */
const SHOW = `
  perl -e '$t = "\\0" x 16; syscall(228, 1, $t); print unpack("q", $t), "\\n"'
  cut -d. -f1 /proc/uptime; echo $$`;

const upFor = () => Number(readFileSync('/proc/uptime', 'latin1').split('.')[0]);

/** How far the container's clocks are from the host's, in seconds, and the PID. */
function clocks(engine: (typeof ENGINES)[number], edit: Edit): number[] {
  const bundle = bundleOf(both(portable, perl, edit, shell(SHOW)));
  for (const name of ['usr', 'lib', 'lib64']) mkdirSync(join(bundle, 'rootfs', name));
  const before = upFor();
  const { stdout, stderr } = runBundle(engine, bundle);
  expect(stderr).toBe('');
  const [monotonic = 0, boottime = 0, pid = 0] = stdout.split('\n').map(Number);
  return [monotonic - before, boottime - before, pid];
}

describe.each(ENGINES)('the clocks under %s', (engine) => {
  it.each<[string, Edit]>([
    ['in a PID namespace', offset],
    ['in a user namespace', both(offset, mapped)],
  ])('are offset %s', (_, edit) => {
    const [monotonic = 0, boottime = 0, pid] = clocks(engine, edit);
    // The time that the container took; a host that slept has clocks that differ by that.
    expect(Math.abs(monotonic - MONOTONIC)).toBeLessThan(MONOTONIC / 10);
    expect(Math.abs(boottime - BOOTTIME)).toBeLessThan(BOOTTIME / 10);
    expect(pid).toBe(1);
  });

  it('are offset without a PID namespace, and shared by a container that joins', () => {
    const id = newId();
    const bundle = bundleOf(both(portable, offset, without('pid'), shell('exec sleep 1000')));
    expect(scow(['run', '--detach', '-b', bundle, id], { engine })).toMatchObject({
      status: 0,
      stderr: '',
    });
    const { pid } = JSON.parse(scow(['state', id], { engine }).stdout);
    const joining: Edit = (config) => {
      linuxOf(config).namespaces?.push({ type: 'time', path: `/proc/${pid}/ns/time` });
    };
    const [monotonic = 0, boottime = 0, own] = clocks(engine, joining);
    // The time that the container took; a host that slept has clocks that differ by that.
    expect(Math.abs(monotonic - MONOTONIC)).toBeLessThan(MONOTONIC / 10);
    expect(Math.abs(boottime - BOOTTIME)).toBeLessThan(BOOTTIME / 10);
    expect(own).toBe(1);
  });

  it('are not set to before their start', () => {
    const edit = both(offset, shell('true'), (config) => {
      linuxOf(config).timeOffsets = { boottime: { secs: -MONOTONIC * 100 } };
    });
    expect(run(engine, edit)).toMatchObject({
      status: 1,
      stderr:
        'scow: cannot set the clocks of the time namespace: numerical result out of range (ERANGE): no clock may be set to before its start, nor to more than 146 years after it  [/linux/timeOffsets]\n',
    });
  });
});
