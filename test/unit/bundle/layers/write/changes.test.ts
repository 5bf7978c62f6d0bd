import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layerEntries, tarOf, treeEntries } from '../../../../../bundle/layers/write/archive.ts';
import type { Change } from '../../../../../bundle/layers/write/changes.ts';
import { changesOfOverlay, changesOfTree } from '../../../../../bundle/layers/write/compare.ts';
import { DiskTree } from '../../../../../bundle/layers/write/disk-tree.ts';
import { mergeLayers } from '../../../../../bundle/layers/write/merged.ts';
import { resolvePath } from '../../../../../bundle/layers/write/resolve-path.ts';
import { CHANGES, changeTree, lowerLayers } from '../../../../helpers/change-tree.ts';
import { makeNastyTree, setXattr } from '../../../../helpers/nasty-tree.ts';
import { differences, readTree } from '../../../../helpers/tree.ts';
import { layer, Place } from '../fixture.ts';

const PLAIN = { overlay: false, rootless: false };
const OVERLAY = { overlay: true, rootless: false };
const silent = { onWarning: () => undefined };

/** Layers below: a nasty tree, and one that already hides and replaces parts of another. */
let base: Buffer[];
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'scow-changes-'));
  execFileSync('mount', ['-t', 'tmpfs', 'scow-test', home]);
  const tree = join(home, 'tree');
  mkdirSync(tree);
  makeNastyTree(tree);
  const disk = new DiskTree(tree, PLAIN);
  base = [Buffer.concat([...tarOf(treeEntries(disk.root(), silent))]), ...lowerLayers()];
  disk.close();
});
afterAll(() => {
  execFileSync('umount', ['-l', home]);
  rmSync(home, { recursive: true });
});

const EXCLUDED = ['mnt/made/for/mount', 'var/run/volume'];

/** Names of a file whose attributes changed: overlayfs copies a file up by one name only. */
const IN_TREE = [...CHANGES, ['C', 'z-link']];
/** Another name of this file is new, so it comes with it. */
const LINKED = ['block'];

const LETTERS = { added: 'A', changed: 'C', deleted: 'D', linked: 'L' };
const told = (changes: readonly Change[]) =>
  changes
    .filter(({ kind, path }) => path !== '' && kind !== 'linked')
    .map(({ kind, path }) => [LETTERS[kind], path]);

const linked = (changes: readonly Change[]) =>
  changes.filter(({ kind }) => kind === 'linked').map(({ path }) => path);

const layerOf = (changes: readonly Change[]) =>
  Buffer.concat([...tarOf(layerEntries(changes, silent))]);

/** What base and a new layer unpack to, and how that differs from what the container saw. */
async function afterwards(top: Buffer, seen: string): Promise<string[]> {
  const place = new Place();
  try {
    await place.apply([...base, top]);
    for (const path of ['mnt', 'var/run'])
      execFileSync('touch', ['-d', '2001-09-09T01:46:40Z', join(seen, path)]);
    for (const path of ['mnt/made', 'var/run/volume'])
      rmSync(join(seen, path), { recursive: true });
    for (const path of ['mnt', 'var/run'])
      execFileSync('touch', ['-d', '2001-09-09T01:46:40Z', join(seen, path)]);
    return differences(readTree(seen), readTree(place.rootfs));
  } finally {
    place.remove();
  }
}

test.each(['the time when it was complete', 'nothing of it'])(
  'changes of a tree are found with the layers that it was made of, knowing %s',
  async (known) => {
    const place = new Place();
    await place.apply(base);
    const { ctimeNs } = statSync(place.at('etc'), { bigint: true });
    const complete = {
      seconds: Number(ctimeNs / 1_000_000_000n) + 1,
      nanoseconds: 0,
    };
    const find = async (since: typeof complete) => {
      const tree = new DiskTree(place.rootfs, PLAIN);
      const changes = await changesOfTree(
        tree.root(),
        base.map((tar) => layer(tar)),
        {
          privileges: 'full',
          complete: known === 'nothing of it' ? undefined : since,
          excluded: EXCLUDED,
        },
      );
      return { changes, tar: layerOf(changes), close: () => tree.close() };
    };
    try {
      const before = await find(complete);
      expect(before.changes).toEqual([]);
      before.close();
      changeTree(place.rootfs);
      // As if the tree had been there for long when it was changed.
      const after = await find({ seconds: 1, nanoseconds: 0 });
      expect(told(after.changes)).toEqual(IN_TREE);
      expect(linked(after.changes)).toEqual(LINKED);
      expect(await afterwards(after.tar, place.rootfs)).toEqual([]);
      after.close();
    } finally {
      place.remove();
    }
  },
);

describe('an overlay', () => {
  let lowers: string[];
  let upper: string;
  let merged: string;
  let count = 0;

  beforeEach(async () => {
    const own = join(home, `overlay-${count++}`);
    [upper, merged] = [join(own, 'upper'), join(own, 'merged')];
    for (const name of ['upper', 'work', 'merged']) mkdirSync(join(own, name), { recursive: true });
    const complete = new Place();
    await complete.apply(base.slice(0, 2));
    const first = join(own, 'first');
    execFileSync('cp', ['-a', complete.rootfs, first]);
    complete.remove();
    // The third layer, in the form that overlayfs wants.
    const second = join(own, 'second');
    mkdirSync(join(second, 'etc'), { recursive: true });
    mkdirSync(join(second, 'old'));
    writeFileSync(join(second, 'etc/new'), 'n');
    for (const name of ['gone', 'old/a'])
      execFileSync('mknod', [join(second, name), 'c', '0', '0']);
    for (const name of ['etc/new', 'etc', 'old', '.'])
      execFileSync('touch', ['-d', '2001-09-09T01:46:40Z', join(second, name)]);
    lowers = [second, first];
    const options = `lowerdir=${second}:${first},upperdir=${upper},workdir=${join(own, 'work')}`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options, merged]);
  });
  afterEach(() => {
    execFileSync('umount', [merged]);
  });

  const open = () => [upper, ...lowers].map((path) => new DiskTree(path, OVERLAY));

  test('tells what changed by its upper directory', async () => {
    const trees = open();
    const find = () => {
      const [top, ...below] = trees.map((tree) => tree.root());
      return changesOfOverlay(top as never, below as never, EXCLUDED);
    };
    expect(find()).toEqual([]);
    changeTree(merged);
    const changes = find();
    expect(told(changes)).toEqual(CHANGES);
    expect(linked(changes)).toEqual(LINKED);
    expect(await afterwards(layerOf(changes), merged)).toEqual([]);
    for (const tree of trees) tree.close();
  });

  test('is read through its layers as its mount shows it', () => {
    changeTree(merged);
    const trees = open();
    const root = mergeLayers(trees.map((tree) => tree.root()) as never);
    const out = join(home, `out-${count}`);
    mkdirSync(out);
    const tar = Buffer.concat([...tarOf(treeEntries(root, silent))]);
    execFileSync('tar', ['-C', out, '--xattrs', '--xattrs-include=*', '-xf', '-'], { input: tar });
    execFileSync('touch', ['-r', out, merged]);
    expect(differences(readTree(merged), readTree(out))).toEqual([]);
    expect(resolvePath(root, '/run/../run/x/./y')).toBe('var/run/x/y');
    expect(resolvePath(root, '../dir/file')).toBe('dir/file');
    for (const tree of trees) tree.close();
  });

  test('that hides whole directories, or by attributes, is understood; what it cannot tell is refused', () => {
    execFileSync('umount', [merged]);
    mkdirSync(join(upper, 'dir'));
    execFileSync('touch', ['-r', join(lowers[1] as string, 'dir'), join(upper, 'dir')]);
    setXattr(join(upper, 'dir'), 'user.of-directory', 'd');
    setXattr(join(upper, 'dir'), 'trusted.overlay.opaque', 'y');
    mkdirSync(join(upper, 'etc'));
    setXattr(join(upper, 'etc'), 'user.overlay.opaque', 'x');
    writeFileSync(join(upper, 'etc/passwd'), '');
    setXattr(join(upper, 'etc/passwd'), 'user.overlay.whiteout', 'y');
    const trees = open();
    const [top, ...below] = trees.map((tree) => tree.root());
    const find = () => told(changesOfOverlay(top as never, below as never, []));
    expect(find()).toEqual([
      ['C', 'dir'],
      ['D', 'dir/empty'],
      ['D', 'dir/file'],
      ['D', 'dir/zero'],
      ['C', 'etc'],
      ['D', 'etc/passwd'],
    ]);
    setXattr(join(upper, 'dir'), 'trusted.overlay.redirect', '/etc');
    expect(find).toThrow(
      '/dir depends on another file of its overlay (redirect): this can only be read of overlays that are mounted without redirect_dir',
    );
    for (const tree of trees) tree.close();
    execFileSync('mount', ['--bind', upper, merged]);
  });
});
