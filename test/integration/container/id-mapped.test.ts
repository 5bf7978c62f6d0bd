import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '../../../schemas/runtime-config.ts';
import {
  both,
  type Edit,
  MAPPED_ROOT,
  mapped,
  mounting,
  portable,
  type Runtime,
  runBundle,
  shell,
  writable,
} from '../../helpers/container.ts';
import { bundleOf, cleanUp, ENGINES, testDirectory } from '../../helpers/scow.ts';

afterEach(cleanUp);

/** What the mapping makes of the IDs that files have on the disk: 50 is root, 100:211 is 1000:1101. */
const MAPS: Pick<Mount, 'uidMappings' | 'gidMappings'> = {
  uidMappings: [
    { containerID: 50, hostID: 0, size: 1 },
    { containerID: 100, hostID: 1000, size: 1 },
  ],
  gidMappings: [
    { containerID: 50, hostID: 0, size: 1 },
    { containerID: 210, hostID: 1100, size: 10 },
  ],
};

/** The same below root of a user namespace. */
const MAPS_BELOW: typeof MAPS = {
  uidMappings: MAPS.uidMappings?.map((map) => ({ ...map, hostID: map.hostID + MAPPED_ROOT })) ?? [],
  gidMappings: MAPS.gidMappings?.map((map) => ({ ...map, hostID: map.hostID + MAPPED_ROOT })) ?? [],
};

/** A file of 100:211 in a directory where all may write; below it is another filesystem. */
function makeSource(): string {
  const source = join(testDirectory(), 'source');
  mkdirSync(join(source, 'below'), { recursive: true });
  writeFileSync(join(source, 'file'), '');
  chownSync(join(source, 'file'), 100, 211);
  chownSync(source, 50, 50);
  chmodSync(source, 0o777);
  return source;
}

/** Mounts the other filesystem first, and puts such a file in it. */
const BELOW = [
  ...['unshare', '--mount', '--propagation=private', 'sh', '-c'],
  'mount -t tmpfs none $0/below && cp -p $0/file $0/below && exec "$@"',
];

type Options = readonly (readonly [options: string, maps: typeof MAPS])[];

/** Owners of the two files in mounts with these options, as a container sees them. */
function owners(runtime: Runtime, table: Options, edit: Edit, source = makeSource()): string[] {
  const mounts = table.map(([options, maps], i) => ({
    ...{ destination: `/m${i}`, type: 'none', source, options: options.split(' ') },
    ...maps,
  }));
  const script = `for i in $(seq 0 ${table.length - 1}); do
    echo $(stat -c %u:%g /m$i/file /m$i/below/file 2>/dev/null); : > /m$i/made-$i; done`;
  const bundle = bundleOf(both(portable, writable, mounting(...mounts), shell(script), edit));
  const rootfs = join(bundle, 'rootfs');
  spawnSync('chown', ['-hR', edit === mapped ? `${MAPPED_ROOT}:${MAPPED_ROOT}` : '0:0', rootfs]);
  chmodSync(testDirectory(), 0o711);
  const { stdout, stderr } = runBundle(runtime, bundle, { through: [...BELOW, source] });
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
}

/** Who owns on the disk what root of the container made in mount `i`. */
function maker(i: number): string {
  const { uid, gid } = statSync(join(testDirectory(), 'source', `made-${i}`));
  return `${uid}:${gid}`;
}

describe.each(ENGINES)('ID-mapped mounts under %s', (engine) => {
  it('have the owners of their mapping, for reading and writing', () => {
    const table: Options = [
      ['bind', MAPS],
      ['rbind idmap', MAPS],
      ['rbind ridmap', MAPS],
      ['bind rw idmap=uids=50-0-1#100-7-1;gids=50-0-1#200-300-20', {}],
      ['rbind ridmap=uids=0-0-60#100-80-5;gids=0-0-300 nosuid', {}],
      ['rbind', {}],
    ];
    expect(owners(engine, table, () => {})).toEqual([
      '1000:1101',
      '1000:1101 100:211',
      '1000:1101 1000:1101',
      '7:311',
      '80:211 80:211',
      '100:211 100:211',
    ]);
    expect([0, 1, 2, 3, 4, 5].map(maker)).toEqual([
      '50:50',
      '50:50',
      '50:50',
      '50:50',
      '0:0',
      '0:0',
    ]);
  });

  it('have the mapping of the container’s user namespace when they have none of their own', () => {
    const table: Options = [
      ['bind idmap', {}],
      ['rbind idmap', {}],
      ['rbind ridmap', {}],
      ['rbind idmap', MAPS_BELOW],
      ['bind idmap=uids=@50-0-1#@100-7-1;gids=@50-0-1#@200-300-20', {}],
      ['rbind', {}],
    ];
    expect(owners(engine, table, mapped)).toEqual([
      '100:211',
      '100:211 65534:65534',
      '100:211 100:211',
      '1000:1101 65534:65534',
      '7:311',
      '65534:65534 65534:65534',
    ]);
    const made = [0, 1, 2, 3, 4].map(maker);
    expect(made).toEqual(['0:0', '0:0', '0:0', '50:50', '50:50']);
  });

  it('are refused where the filesystem has none, in words', () => {
    const mount = { destination: '/m', type: 'bind', source: '/proc/self', options: ['bind'] };
    const bundle = bundleOf(both(writable, mounting({ ...mount, ...MAPS })));
    expect(runBundle(engine, bundle)).toMatchObject({
      status: 1,
      stdout: '',
      stderr:
        'scow: cannot map the IDs of /proc/self: invalid argument (EINVAL): its filesystem has no ID-mapped mounts on this kernel  [/mounts/7/uidMappings]\n',
    });
  });

  it('are refused to all but the host’s root', () => {
    const source = makeSource();
    const mount = { destination: '/m', type: 'bind', source, options: ['bind', 'idmap'] };
    const bundle = bundleOf(both(writable, mounting({ ...mount, ...MAPS })));
    const through = ['unshare', '--user', '--map-root-user', '--mount'];
    const { status, stderr } = runBundle(engine, bundle, { through });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^scow: cannot map the IDs of \S+\/source: operation not permitted \(EPERM\): .* its filesystem belongs to a user namespace of which scow is not root {2}\[\/mounts\/7\/uidMappings\]\n$/,
    );
  });
});
