import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RootfsPropagation } from '../../../schemas/runtime-config.ts';
import {
  both,
  capable,
  commandLine,
  type Edit,
  lines,
  linuxOf,
  mounting,
  portable,
  type Runtime,
  shell,
  writable,
} from '../../helpers/container.ts';
import { mountAt, parseMountinfo } from '../../helpers/mountinfo.ts';
import { bundleOf, cleanUp, ENGINES, newId, testDirectory } from '../../helpers/scow.ts';

afterEach(cleanUp);

/**
 * On the host, in mounts that are shared: runs a container, mounts something on each source of
 * its mounts meanwhile, and looks for what the container mounts there.
 */
const HOST = `
  cd $0
  for source in *; do mount -t tmpfs none $source; mkdir $source/later $source/inside; done
  "$@" &
  container=$!
  await() { until [ -e 0/$1 ]; do kill -0 $container || exit; sleep 0.01; done; }
  await ready
  for source in *; do mount -t tmpfs none $source/later; done
  touch 0/go
  await done
  for source in *; do echo "host $source $(grep -c "$0/$source/inside" /proc/self/mountinfo)"; done
  touch 0/end
  wait`;

const CONTAINER = `
  cd /mnt
  await() { until [ -e 0/$1 ]; do sleep 0.01; done; }
  touch 0/ready
  await go
  for source in *; do echo "container $source $(grep -c "/$source/later " /proc/self/mountinfo)"; done
  for source in *; do mount -t tmpfs none $source/inside; done
  touch 0/done
  await end`;

/** For each list of options: does the container see later mounts of the host, and vice versa? */
function seen(
  runtime: Runtime,
  table: readonly (readonly [options: string, ...unknown[]])[],
  edit: Edit = () => {},
) {
  const directory = join(testDirectory(), 'sources');
  const mounts = table.map(([options], i) => {
    const source = join(directory, String(i));
    mkdirSync(source, { recursive: true });
    return { destination: `/mnt/${i}`, type: 'bind', source, options: options.split(' ') };
  });
  const bundle = bundleOf(
    both(portable, writable, capable('CAP_SYS_ADMIN'), mounting(...mounts), shell(CONTAINER), edit),
  );
  const { stdout, stderr } = spawnSync(
    'unshare',
    [
      ...['--mount', '--propagation=shared', 'bash', '-c', HOST, directory],
      ...[...commandLine(runtime), 'run', '--bundle', bundle, newId()],
    ],
    { encoding: 'utf8' },
  );
  expect({ runtime, stderr }).toEqual({ runtime, stderr: '' });
  const sees = (who: string, i: number) => stdout.includes(`${who} ${i} 1\n`);
  return table.map(([options], i) => [options, sees('container', i), sees('host', i)]);
}

const rootfsPropagation =
  (value: RootfsPropagation): Edit =>
  (config) => {
    linuxOf(config).rootfsPropagation = value;
  };

describe.each(ENGINES)('propagation of mounts under %s', (engine) => {
  it('reaches the container, but not the host, where the options do not forbid it', () => {
    const table = [
      ['bind', true, false],
      ['rbind private', false, false],
      ['rbind rprivate', false, false],
      ['rbind slave', true, false],
      ['rbind rslave', true, false],
      ['rbind unbindable', false, false],
      ['rbind runbindable', false, false],
    ] as const;
    expect(seen(engine, table)).toEqual(table);
    expect(seen('runc', table)).toEqual(table);
  });

  it('goes both ways with rshared, as engines ask for it', () => {
    const table = [['rbind rshared', true, true]] as const;
    const shared = rootfsPropagation('rshared');
    expect(seen(engine, table, shared)).toEqual(table);
    expect(seen('runc', table, shared)).toEqual(table);
  });

  it('shows in the tags of the mounts', () => {
    const types = ['private', 'slave', 'shared', 'unbindable', 'rprivate', 'rslave', 'rshared'];
    const source = join(testDirectory(), 'source');
    mkdirSync(source);
    const mounts = types.map((type) => ({
      destination: `/${type}`,
      type: 'bind',
      source,
      options: ['rbind', type],
    }));
    const own = { destination: '/own', type: 'tmpfs', source: 'tmpfs', options: ['shared'] };
    const found = parseMountinfo(
      lines(engine, 'cat /proc/self/mountinfo', both(writable, mounting(...mounts, own)), {
        through: ['unshare', '--mount', '--propagation=shared'],
      }),
    );
    const tags = [...types, 'own'].map((type) => [
      type,
      ...(mountAt(found, `/${type}`)?.tags ?? []).map((tag) => tag.replace(/:.*/, '')),
    ]);
    expect(tags).toEqual([
      ['private'],
      ['slave', 'master'],
      ['shared', 'shared'],
      ['unbindable', 'unbindable'],
      ['rprivate'],
      ['rslave', 'master'],
      ['rshared', 'shared'],
      ['own', 'shared'],
    ]);
  });

  // runc leaves out «shared», and refuses «unbindable».
  it.each([
    ['shared', ['shared', 'master']],
    ['slave', ['master']],
    ['private', []],
    ['unbindable', ['unbindable']],
    ['rshared', ['shared', 'master']],
    ['rslave', ['master']],
    ['rprivate', []],
  ] as const)('of a root filesystem that is %s', (value, expected) => {
    const through = ['unshare', '--mount', '--propagation=shared'];
    const edit = rootfsPropagation(value);
    const found = parseMountinfo(lines(engine, 'cat /proc/self/mountinfo', edit, { through }));
    expect(mountAt(found, '/')?.tags.map((tag) => tag.replace(/:.*/, ''))).toEqual(expected);
  });

  it('of a shared root filesystem does not reach the host', () => {
    // Peers of nobody outside: other tests mount and unmount meanwhile.
    const script = `
      mount --make-rshared /
      before=$(cat /proc/self/mountinfo)
      "$@"
      test "$before" = "$(cat /proc/self/mountinfo)" && echo nothing leaked`;
    const through = ['unshare', '--mount', '--propagation=private', 'bash', '-c', script, 'bash'];
    const edit = both(rootfsPropagation('rshared'), writable, capable('CAP_SYS_ADMIN'));
    const mount = 'mkdir -p /made && mount -t tmpfs none /made && mount -t tmpfs none /';
    expect(lines(engine, `${mount} && echo mounted`, edit, { through })).toEqual([
      'mounted',
      'nothing leaked',
    ]);
  });
});
