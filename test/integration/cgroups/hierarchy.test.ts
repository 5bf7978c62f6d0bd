import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findHierarchy, ownCgroup } from '../../../runtime/cgroups/hierarchy.ts';
import { Sandbox } from './sandbox.ts';

const SHOW = join(process.cwd(), 'test/integration/cgroups/show-hierarchy.ts');
const BUN = join(process.cwd(), 'node_modules/.bin/bun');

let sandbox: Sandbox;
let folder: string;
beforeEach(() => {
  sandbox = new Sandbox('hierarchy');
  folder = mkdtempSync(join(tmpdir(), 'scow hierarchy-'));
});
afterEach(async () => {
  await sandbox.cleanUp();
  rmdirSync(folder);
});

/** What scow finds after `script` ran in a mount namespace of its own. */
function shownAfter(script: string): string {
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-ec', `${script}\n"$BUN" run "$SHOW"`],
    {
      encoding: 'utf8',
      env: {
        ...process.env,
        BUN,
        SHOW,
        CGROUP: sandbox.path,
        FOLDER: folder,
        USUAL: findHierarchy().mountPoint,
      },
    },
  );
  return stdout.trim() || stderr;
}

const ENTER = 'mkdir -p "$CGROUP/c"; echo $$ > "$CGROUP/c/cgroup.procs"';

test('the hierarchy that is found is one, and has the own cgroup in it', () => {
  const hierarchy = findHierarchy();
  expect(statfsSync(hierarchy.mountPoint).type).toBe(0x63677270);
  expect(sandbox.path.startsWith(join(hierarchy.mountPoint, ownCgroup(hierarchy)))).toBe(true);
});

test('a container without cgroupsPath gets a cgroup beside scow’s own', () => {
  const { mountPoint } = findHierarchy();
  const shown = JSON.parse(shownAfter(ENTER));
  expect(shown).toEqual({
    mountPoint,
    root: '/',
    own: join(sandbox.path, 'c').slice(mountPoint.length),
    path: join(sandbox.path, 'c1').slice(mountPoint.length),
  });
});

test('it is found wherever it is mounted, also at a path with a space', () => {
  const shown = shownAfter(`${ENTER}; mount -t cgroup2 none "$FOLDER"; umount -l "$USUAL"`);
  expect(JSON.parse(shown)).toMatchObject({ mountPoint: folder, root: '/' });
});

test('a bind mount of a part of it serves when it shows the own cgroup', () => {
  const shown = shownAfter(`${ENTER}; mount --bind "$CGROUP" "$FOLDER"; umount -l "$USUAL"`);
  expect(JSON.parse(shown)).toEqual({
    mountPoint: folder,
    root: sandbox.path.slice(findHierarchy().mountPoint.length),
    own: '/c',
    path: '/c1',
  });
});

test('a bind mount of another part does not, and one line says so', () => {
  const shown = shownAfter(`mount --bind "$CGROUP" "$FOLDER"; umount -l "$USUAL"`);
  expect(shown).toMatch(/^the cgroup v2 mount at .* shows \/.*, but scow itself is in \/.*$/);
});

test('a mount that another one hides is not used', () => {
  const shown = shownAfter(`mount -t cgroup2 none "$FOLDER"; mount -t tmpfs none "$USUAL"`);
  expect(JSON.parse(shown)).toMatchObject({ mountPoint: folder });
});

test('inside a cgroup namespace the own cgroup is the root', () => {
  const shown = shownAfter(
    `${ENTER}; exec unshare --cgroup sh -ec 'umount -l "$USUAL"; ` +
      `mount -t cgroup2 none "$FOLDER"; "$BUN" run "$SHOW"'`,
  );
  expect(JSON.parse(shown)).toEqual({
    mountPoint: folder,
    root: '/',
    own: '/',
    path: '/c1',
  });
});

test('one that may not be looked at is not told as absent', () => {
  const shown = shownAfter(
    `mount -t tmpfs -o uid=1,mode=700 none "$FOLDER"; mkdir "$FOLDER/c"; mount -t cgroup2 none "$FOLDER/c"
     umount -l "$USUAL"
     exec setpriv --bounding-set -dac_override,-dac_read_search "$BUN" run "$SHOW"`,
  );
  expect(shown).toBe(
    `cannot look at the mounted cgroup v2 hierarchy: ${folder}/c: permission denied (EACCES)`,
  );
});

test('without a mount of cgroup v2, one line says what to do', () => {
  expect(shownAfter('umount --all --types cgroup2')).toMatch(
    /^no cgroup v2 hierarchy is mounted .*: boot with .*$/,
  );
});
