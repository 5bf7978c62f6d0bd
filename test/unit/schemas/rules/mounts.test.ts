import { parseIdMapOption } from '../../../../schemas/id-map-option.ts';
import type { Mount, RuntimeConfig } from '../../../../schemas/runtime-config.ts';
import { validateRuntimeConfig } from '../../../../schemas/validate.ts';
import { minimal } from '../../../helpers/plans.ts';
import { refused } from './support.ts';

const map = [{ containerID: 0, hostID: 1000, size: 10 }];
const linux: NonNullable<RuntimeConfig['linux']> = {
  namespaces: [{ type: 'mount' }, { type: 'user' }],
  uidMappings: [
    { containerID: 0, hostID: 1000, size: 1 },
    { containerID: 1, hostID: 2000, size: 1000 },
  ],
  gidMappings: [{ containerID: 0, hostID: 3000, size: 1000 }],
};

function wrong(mount: Partial<Mount>, config: Partial<RuntimeConfig> = {}): string[] {
  const mounts = [{ destination: '/m', source: '/s', ...mount }];
  return validateRuntimeConfig(minimal({ mounts, ...config })).map(
    ({ pointer, found, allowed }) => `${pointer}: ${found}; ${allowed}`,
  );
}

const ONLY_BIND = 'this option only with bind or rbind';
const NO_FILESYSTEM = 'a filesystem of /proc/filesystems, unless the options have bind or rbind';
const SYNTAX = expect.stringContaining('allowed: idmap, or idmap=uids=FROM-TO-SIZE') as string;

test.each<[what: string, mount: Partial<Mount>, violation: string]>([
  ['nothing to mount', {}, `/mounts/0/type: missing; ${NO_FILESYSTEM}`],
  ['no type', { type: '' }, `/mounts/0/type: ""; ${NO_FILESYSTEM}`],
  ['type none', { type: 'none', options: ['ro'] }, `/mounts/0/type: "none"; ${NO_FILESYSTEM}`],
  [
    'a copy into another filesystem',
    { type: 'ramfs', options: ['ro', 'tmpcopyup'] },
    '/mounts/0/options/1: "tmpcopyup"; this option only with the type "tmpfs"',
  ],
  [
    'a copy into a bind mount',
    { type: 'tmpfs', options: ['tmpcopyup', 'bind'] },
    '/mounts/0/options/0: "tmpcopyup"; this option only with the type "tmpfs"',
  ],
  ['idmap', { type: 'tmpfs', options: ['idmap'] }, `/mounts/0/options/0: "idmap"; ${ONLY_BIND}`],
  [
    'ridmap with a mapping',
    { type: 'tmpfs', options: ['ridmap=uids=0-0-1;gids=0-0-1'] },
    `/mounts/0/options/0: "ridmap=uids=0-0-1;gids=0-0-1"; ${ONLY_BIND}`,
  ],
  [
    'copy-symlink',
    { type: 'tmpfs', options: ['copy-symlink'] },
    `/mounts/0/options/0: "copy-symlink"; ${ONLY_BIND}`,
  ],
  [
    'src-nofollow',
    { type: 'tmpfs', options: ['src-nofollow'] },
    `/mounts/0/options/0: "src-nofollow"; ${ONLY_BIND}`,
  ],
  [
    'copying a symlink and mounting on it',
    { options: ['bind', 'copy-symlink', 'dest-nofollow'] },
    '/mounts/0/options/2: "dest-nofollow"; nothing beside copy-symlink',
  ],
  [
    'mappings of a filesystem',
    { type: 'tmpfs', uidMappings: map, gidMappings: map },
    '/mounts/0/uidMappings: an array; mappings only with bind or rbind in the options',
  ],
  [
    'an empty mapping beside one',
    { options: ['bind'], uidMappings: map, gidMappings: [] },
    '/mounts/0/gidMappings: an empty array; mappings of both: uidMappings and gidMappings',
  ],
  [
    'two mappings',
    { options: ['bind', 'idmap=uids=0-0-1;gids=0-0-1'], uidMappings: map, gidMappings: map },
    '/mounts/0/options/1: "idmap=uids=0-0-1;gids=0-0-1"; an option without a mapping beside uidMappings',
  ],
  [
    'a mapping that overlaps itself',
    { options: ['bind', 'idmap=uids=0-0-5#4-9-1;gids=0-0-1'] },
    '/mounts/0/options/1: 4 to 4; a range that no other mapping of the array overlaps',
  ],
  [
    'no user namespace',
    { options: ['bind', 'idmap'] },
    '/mounts/0/options/1: "idmap"; this option only with uidMappings and gidMappings, or with a user namespace',
  ],
])('%s is refused', (_, mount, violation) => {
  expect(wrong(mount)).toEqual([violation]);
});

test.each([
  ['idmap=', 'the part ""'],
  ['idmap=uids=0-0-1', 'only one of uids and gids'],
  ['idmap=users=0-0-1;gids=0-0-1', 'the part "users=0-0-1"'],
  ['idmap=uids=0-0-1;uids=0-0-1', 'the part "uids=0-0-1"'],
  ['idmap=uids=0-0;gids=0-0-1', 'the range "0-0"'],
  ['idmap=uids=0-0-0;gids=0-0-1', 'the range "0-0-0"'],
  ['idmap=uids=-1-0-1;gids=0-0-1', 'the range "-1-0-1"'],
  ['idmap=uids=0-0-1#;gids=0-0-1', 'the range ""'],
  [
    'ridmap=uids=@0-5000-1;gids=0-0-1',
    'the range "@0-5000-1", which the user namespace does not map',
  ],
])('%s is refused', (option, found) => {
  const [line] = wrong({ options: ['bind', option] }, { linux });
  expect(line).toBe(`/mounts/0/options/1: ${found}; ${line?.split('; ').slice(1).join('; ')}`);
  expect(`allowed: ${line?.split('; ').slice(1).join('; ')}`).toEqual(SYNTAX);
});

test.each<[mount: Partial<Mount>]>([
  [{ type: 'tmpfs', options: ['tmpcopyup'] }],
  [{ options: ['remount', 'ro'] }],
  [{ type: 'none', options: ['rbind', 'ridmap'] }],
  [{ type: 'bind', options: ['idmap=uids=0-0-1#1-5-1;gids=@0-0-1'] }],
  [{ options: ['bind', 'copy-symlink'] }],
  [{ options: ['bind', 'src-nofollow', 'dest-nofollow'] }],
  [{ type: 'tmpfs', options: ['dest-nofollow'] }],
  [{ options: ['bind'], uidMappings: map, gidMappings: map }],
])('%j is allowed', (mount) => {
  expect(wrong(mount, { linux })).toEqual([]);
});

test('ranges with @ count in the user namespace of the container', () => {
  expect(parseIdMapOption('ridmap=uids=@7-0-1#@50-11-5#3-4-5;gids=@0-5-1', linux)).toEqual({
    uidMappings: [
      { containerID: 7, hostID: 1000, size: 1 },
      { containerID: 50, hostID: 2010, size: 5 },
      { containerID: 3, hostID: 4, size: 5 },
    ],
    gidMappings: [{ containerID: 0, hostID: 3005, size: 1 }],
  });
  expect(parseIdMapOption('idmap')).toBeUndefined();
});

test('the type of a mount label is one of four', () => {
  const labelled = (type: string) =>
    validateRuntimeConfig(
      minimal({
        linux: { ...linux, mountLabel: 'a:b:c' },
        annotations: { 'run.oci.mount_context_type': type },
      }),
    );
  expect(labelled('rootcontext')).toEqual([]);
  expect(labelled('other')).toEqual([
    {
      pointer: '/annotations/run.oci.mount_context_type',
      found: '"other"',
      allowed: 'one of context, fscontext, defcontext, rootcontext',
    },
  ]);
});

const NOT_OVERLAPPING = 'a range that no other mapping of the array overlaps';
refused([
  [
    'an ID-mapped mount without a map',
    [
      ['/mounts/1/uidMappings', undefined],
      ['/mounts/1/gidMappings', undefined],
      ['/linux', {}],
      ['/hostname', ''],
      ['/domainname', undefined],
    ],
    '/mounts/1/options/2',
    '"idmap"',
    'this option only with uidMappings and gidMappings, or with a user namespace',
  ],
  [
    'overlapping mappings of a mount',
    [['/mounts/1/uidMappings/1', { containerID: 9, hostID: 5, size: 1 }]],
    '/mounts/1/uidMappings/1/containerID',
    '9 to 9',
    NOT_OVERLAPPING,
  ],
]);
