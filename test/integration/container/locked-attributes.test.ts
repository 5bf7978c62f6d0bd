import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  both,
  type Edit,
  MAPPED_ROOT,
  mapped,
  mounting,
  portable,
  runBundle,
  shell,
  writable,
} from '../../helpers/container.ts';
import { MappedUser } from '../../helpers/mapped-user.ts';
import { mountAt, parseMountinfo } from '../../helpers/mountinfo.ts';
import { bundleOf, cleanUp, ENGINES, testDirectory } from '../../helpers/scow.ts';

const user = new MappedUser();

beforeAll(() => user.add());
afterAll(() => user.remove());
afterEach(cleanUp);

/** A mount of the host with attributes that protect it. */
function protect(source: string, attributes: string): string {
  return `mount -t tmpfs none ${source} && mount -o remount,bind,${attributes} ${source}`;
}

const PROTECTED = 'ro,nosuid,nodev,noexec,noatime';

/** Options of a bind mount of it, and those that the mount then has. */
const KEPT: readonly (readonly [options: string, expected: string])[] = [
  ['bind', PROTECTED],
  ['rbind rprivate', PROTECTED],
  ['bind ro', PROTECTED],
  ['bind nosuid nodev', PROTECTED],
  ['bind noatime', PROTECTED],
];

const bindsOf = (source: string): Edit =>
  mounting(
    ...KEPT.map(([options], i) => ({
      ...{ destination: `/m${i}`, type: 'bind', source, options: options.split(' ') },
    })),
  );

function shownIn(stdout: string) {
  const mounts = parseMountinfo(stdout.split('\n'));
  return KEPT.map(([options], i) => [options, mountAt(mounts, `/m${i}`)?.options]);
}

function makeSource(): string {
  const source = join(testDirectory(), 'source');
  mkdirSync(source);
  chmodSync(testDirectory(), 0o711);
  return source;
}

describe.each(ENGINES)('attributes that protect the host, under %s', (engine) => {
  const through = (source: string) => [
    ...['unshare', '--mount', '--propagation=private', 'sh', '-c'],
    `${protect(source, PROTECTED)} && exec "$@"`,
    'sh',
  ];

  it('stay in a user namespace, unless the options name them', () => {
    const source = makeSource();
    const show = shell('cat /proc/self/mountinfo');
    const bundle = bundleOf(both(portable, writable, mapped, bindsOf(source), show));
    spawnSync('chown', ['-hR', `${MAPPED_ROOT}:${MAPPED_ROOT}`, join(bundle, 'rootfs')]);
    const { stdout, stderr } = runBundle(engine, bundle, { through: through(source) });
    expect(stderr).toBe('');
    expect(shownIn(stdout)).toEqual(KEPT);
  });

  it.each(['rw ro', 'suid nosuid', 'dev nodev', 'exec noexec'])(
    'are not taken away by %s',
    (words) => {
      const source = makeSource();
      const [option = '', name] = words.split(' ');
      const options = ['bind', option];
      const edit = both(mapped, mounting({ destination: '/tmp', type: 'bind', source, options }));
      const { status, stderr } = runBundle(engine, bundleOf(edit), { through: through(source) });
      expect(status).toBe(1);
      expect(stderr).toBe(
        `scow: cannot mount ${source} on /tmp without «${name}», which its source has: operation not permitted in a user namespace  [/mounts/7/options]\n`,
      );
    },
  );

  it('stay for an ordinary user', () => {
    const source = makeSource();
    const show = shell('cat /proc/self/mountinfo');
    const bundle = user.bundle(engine, both(writable, bindsOf(source), show));
    const run = ['run', `scow-test-${process.pid}-locked`];
    const { stdout, stderr } = user.scow(engine, run, bundle, [], protect(source, PROTECTED));
    expect(stderr).toBe('');
    expect(shownIn(stdout)).toEqual(KEPT);
    const options = ['bind', 'exec'];
    const edit = mounting({ destination: '/tmp', type: 'bind', source, options });
    const refused = user.bundle(engine, edit);
    expect(user.scow(engine, run, refused, [], protect(source, PROTECTED)).stderr).toMatch(
      /^scow: cannot mount .* on \/tmp \(mount_setattr\): operation not permitted \(EPERM\): its options take away what a user namespace may not: .* {2}\[\/mounts\/\d+\]\n$/,
    );
  });
});
