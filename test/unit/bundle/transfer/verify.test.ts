import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { openLayoutImage } from '../../../../bundle/image/layout-source.ts';
import {
  type VerifyOptions,
  type VerifyReport,
  verifyImage,
} from '../../../../bundle/transfer/verify.ts';
import { digestOf, forPlatform, MEDIA, tagged } from '../../../helpers/layout.ts';
import { layout } from '../../../helpers/places/layout-per-test.ts';
import { archive } from '../../../helpers/tar.ts';

async function verify(options: VerifyOptions = { sparse: false }): Promise<VerifyReport> {
  const source = await openLayoutImage(`${layout.path}:x`);
  try {
    return await verifyImage(source, options);
  } finally {
    source.close();
  }
}

const layer = archive({ name: 'file', content: 'content' });

test('a sound image is told with all that was looked at', async () => {
  const image = layout.image({ layers: [layer] });
  layout.finish(tagged(image, 'x'));
  expect(await verify()).toEqual({
    image: layout.path,
    digest: image.digest,
    sound: true,
    manifests: [
      {
        digest: image.digest,
        platform: 'linux/amd64',
        id: expect.stringMatching(/^sha256:/),
        layers: [
          {
            digest: digestOf(gzipSync(layer)),
            mediaType: MEDIA.gzip,
            size: gzipSync(layer).length,
            diffId: digestOf(layer),
          },
        ],
        problems: [],
        warnings: [],
      },
    ],
    problems: [],
    absent: [],
  });
});

test('all that is wrong is told, not only the first', async () => {
  const wrong = digestOf(Buffer.from('another'));
  const broken = archive({ name: 'link', type: '1', linkName: 'nothing' });
  const image = layout.image({
    layers: [layer, broken, layer],
    config: {
      rootfs: { type: 'layers', diff_ids: [wrong, digestOf(broken), wrong, wrong] },
      history: [{ created_by: 'one' }],
    },
  });
  const missing = { ...image, digest: digestOf(Buffer.from('missing')) };
  const index = layout.index(
    forPlatform(image, 'linux/arm64'),
    forPlatform(missing, 'linux/s390x'),
    layout.blob('text/plain', Buffer.from('an artifact')),
  );
  layout.finish(tagged(index, 'x'));
  writeFileSync(layout.file(digestOf(Buffer.from('an artifact'))), 'AN ARTIFACT');
  const report = await verify();
  expect(report.sound).toBe(false);
  expect(report.problems).toEqual([
    expect.stringMatching(/^image manifest \(sha256:.*\): is missing in /),
    expect.stringMatching(/^text\/plain \(sha256:.*\): the content in .* is not what this digest/),
  ]);
  const [manifest] = report.manifests;
  const gzipped = digestOf(gzipSync(layer));
  const uncompressed = `its uncompressed content is ${digestOf(layer)}, but the image's configuration has the diffID ${wrong}`;
  expect(manifest?.problems).toEqual([
    expect.stringMatching(/^the manifest has 3 layers, but image configuration .* has 4 diff_ids$/),
    expect.stringMatching(/^the index says that it is for linux\/arm64, but .* says linux\/amd64$/),
    `layer 1 of 3 (${gzipped}): ${uncompressed}`,
    `layer 3 of 3 (${gzipped}): ${uncompressed}`,
  ]);
  expect(manifest?.warnings).toEqual([
    expect.stringMatching(/its history tells of 1 layers, but there are 3$/),
  ]);
  // Alone, the same archive is one that nobody can unpack.
  layout.finish(tagged(layout.image({ layers: [broken] }), 'x'));
  expect((await verify()).manifests[0]?.problems).toEqual([expect.stringContaining('link: ')]);
});

test('what is for other platforms may be absent, or left out', async () => {
  const image = layout.image({ layers: [layer] });
  const missing = { ...image, digest: digestOf(Buffer.from('missing')) };
  const index = layout.index(
    forPlatform(image, 'linux/amd64'),
    forPlatform(missing, 'linux/arm64'),
  );
  layout.finish(tagged(index, 'x'));
  expect(await verify({ sparse: true })).toMatchObject({ sound: true, absent: ['linux/arm64'] });
  const platform = { os: 'linux', architecture: 'amd64' };
  expect(await verify({ sparse: false, platform })).toMatchObject({ sound: true, absent: [] });
});

test('an artifact with an empty configuration says what it is', async () => {
  const empty = layout.blob('application/vnd.oci.empty.v1+json', Buffer.from('{}'));
  const artifact = (type: object) => {
    const manifest = { schemaVersion: 2, config: empty, layers: [empty], ...type };
    layout.finish(tagged(layout.blob(MEDIA.manifest, Buffer.from(JSON.stringify(manifest))), 'x'));
    return verify();
  };
  expect(await artifact({ artifactType: 'application/x.sbom' })).toMatchObject({ sound: true });
  expect((await artifact({})).manifests[0]?.problems).toEqual([
    expect.stringContaining('its configuration is empty, so it must have an artifactType'),
  ]);
});
