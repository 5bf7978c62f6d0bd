import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { layerSources } from '../../../../bundle/image/layers.ts';
import { openLayoutImage } from '../../../../bundle/image/layout-source.ts';
import { resolveImage } from '../../../../bundle/image/resolve.ts';
import { applyLayers } from '../../../../bundle/layers/apply.ts';
import { copyLayers } from '../../../../bundle/make/copy-layers.ts';
import { mountOverlay } from '../../../../bundle/mount/overlay.ts';
import { unmount } from '../../../../bundle/mount/table.ts';
import { ensureLayers } from '../../../../bundle/store/layers.ts';
import { openStore } from '../../../../bundle/store/store.ts';
import { LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { pick, type Random, randomFrom } from '../../../helpers/mutate.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { archive, directory, entry, file, hardLink, symlink } from '../../../helpers/tar.ts';
import { differences, readTree } from '../../../helpers/tree.ts';

// Layers of random entries with few names, which hide, replace, link to and lead through one another:
// as a mount of unpacked layers, and as a copy of them, they come to what they are when they are
// applied one after another.

jest.setTimeout(300_000);

const IMAGES = 8;
const LAYERS = 3;
const ENTRIES = 9;

function randomEntry(random: Random): Buffer {
  const names = ['a', 'b', 'c'];
  const path = () => Array.from({ length: 1 + random(3) }, () => pick(random, names)).join('/');
  const name = path();
  const fields = { uid: random(3), gid: random(3), mtime: 1000 + random(1000) };
  const makers = [
    () => file(name, `content ${random(1000)}`, { ...fields, mode: 0o640 + random(8) }),
    () => directory(name, { ...fields, mode: pick(random, [0o755, 0o2750]) }),
    () => symlink(name, pick(random, [path(), `/${path()}`, '..', `../${pick(random, names)}`])),
    () => hardLink(name, path()),
    () => hardLink(name, path()),
    () => file(join(dirname(name), `.wh.${name.split('/').at(-1)}`)),
    () => file(`${name}/.wh..wh..opq`),
    () => entry({ name, type: '6', ...fields }),
  ];
  return pick(random, makers)();
}

function imageOf(layers: readonly (readonly Buffer[])[]): string {
  const layout = new LayoutBuilder(join(home, 'layout'));
  const archives = layers.map((entries) => archive(...entries));
  return `${layout.finish(tagged(layout.image({ layers: archives, plain: true }), 'v1'))}:v1`;
}

/** Opens an image and does something with it. */
async function using<T>(
  reference: string,
  work: (
    source: Awaited<ReturnType<typeof openLayoutImage>>,
    image: Awaited<ReturnType<typeof resolveImage>>,
  ) => Promise<T>,
): Promise<T> {
  const source = await openLayoutImage(reference);
  try {
    return await work(source, await resolveImage(source));
  } finally {
    source.close();
  }
}

/** Applies all layers to one directory. @returns its path */
async function flat(layers: readonly (readonly Buffer[])[]): Promise<string> {
  const path = join(home, 'flat');
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path);
  await using(imageOf(layers), (source, image) =>
    applyLayers(
      path,
      layerSources(source, image, () => undefined),
    ),
  );
  return path;
}

/** Layers of entries none of which is refused where it stands. */
async function randomLayers(random: Random): Promise<Buffer[][]> {
  const layers: Buffer[][] = [];
  for (let i = 0; i < LAYERS; i++) {
    const entries: Buffer[] = [];
    for (let j = 0; j < ENTRIES; j++) {
      const one = randomEntry(random);
      const valid = flat([...layers, [...entries, one]]).then(
        () => true,
        () => false,
      );
      if (await valid) entries.push(one);
    }
    layers.push(entries);
  }
  return layers;
}

test.each(Array.from({ length: IMAGES }, (_, seed) => seed))('image %i', async (seed) => {
  const random = randomFrom(seed * 2 + 1);
  const layers = await randomLayers(random);
  const expected = readTree(await flat(layers));
  const [upper, work, merged, copy] = ['upper', 'work', 'merged', 'copy'].map((name) => {
    mkdirSync(join(home, name));
    return join(home, name);
  }) as [string, string, string, string];
  const store = openStore(join(home, 'store'));
  const lower = await using(imageOf(layers), async (source, image) => {
    const lease = await store.lease(image.descriptor.digest);
    const privileges = 'full';
    const made = await ensureLayers(store, source, image, { privileges });
    // Layers that are lost are made again of those that are there.
    for (const path of made)
      if (random(2) === 1) rmSync(dirname(path), { recursive: true, force: true });
    await ensureLayers(store, source, image, { privileges });
    lease.release();
    return made;
  });
  copyLayers(
    lower,
    copy,
    'full',
    () => undefined,
    () => undefined,
  );
  expect(differences(expected, readTree(copy))).toEqual([]);
  mountOverlay({ lower, upper, work, userXattrs: false }, merged);
  try {
    const found = readTree(merged);
    // The root is the upper directory's, which `create` gives these attributes.
    for (const tree of [found, expected]) tree.delete('.');
    expect(differences(expected, found)).toEqual([]);
  } finally {
    unmount(merged);
  }
});
