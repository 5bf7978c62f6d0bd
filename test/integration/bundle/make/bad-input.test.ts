import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Descriptor } from '../../../../schemas/image.ts';
import { scowBundle } from '../../../helpers/bundler.ts';
import { digestOf, forPlatform, MEDIA, tagged } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { layout } from '../../../helpers/places/layout-per-test.ts';
import { archive, file } from '../../../helpers/tar.ts';

/** Unpacks; it must fail with this line, and leave nothing behind. */
function refused(image: string, message: string | RegExp, ...flags: string[]): void {
  const before = readdirSync(home);
  const args = ['unpack', '--image', image, ...flags, join(home, 'bundle')];
  const { status, stdout, stderr } = scowBundle(args);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  if (typeof message === 'string') expect(stderr).toBe(`scow-bundle: ${message}\n`);
  else expect(stderr).toMatch(message);
  expect(readdirSync(home)).toEqual(before);
}

const LAYER = archive(file('hello', 'world'));

/** The layer of an image. */
function layerOf(manifest: Descriptor): Descriptor {
  return JSON.parse(readFileSync(layout.file(manifest.digest), 'utf8')).layers[0];
}

describe('what is no layout is called by its name', () => {
  test('an image in a registry', () => {
    refused('docker://alpine', /docker:\/\/alpine is in a registry: scow-bundle copy docker:/);
  });

  test('nothing at all', () => {
    refused(
      join(home, 'nowhere'),
      `cannot open the image layout ${home}/nowhere: no such file or directory (ENOENT)`,
    );
  });

  test.each([
    [['oci-layout.txt'], ''],
    [[], ' (it is empty)'],
    [['config.json', 'rootfs'], '; it looks like a bundle, already unpacked'],
    [['etc', 'usr', 'bin'], '; it looks like a root filesystem'],
    [['index.json', 'blobs'], ', though it has index.json and blobs'],
  ])('a folder with %j', (names, hint) => {
    const path = join(home, 'thing');
    mkdirSync(path);
    for (const name of names) writeFileSync(join(path, name), '');
    refused(path, `${path} is not an image layout: it has no file oci-layout${hint}`);
  });

  test("Docker's and skopeo's formats, with the command that converts them", () => {
    const tree = join(home, 'tree');
    mkdirSync(tree);
    writeFileSync(join(tree, 'manifest.json'), '[]');
    const path = join(home, 'image.tar');
    spawnSync('tar', ['-C', tree, '-cf', path, 'manifest.json']);
    refused(
      path,
      `${path} is not an image layout: it has no file oci-layout; it looks like an archive of docker save, which docker-archive:${path} names`,
    );
    writeFileSync(join(tree, 'version'), 'Directory Transport Version: 1.1\n');
    refused(tree, /it looks like skopeo's "dir" format \(skopeo copy dir:/);
  });

  test('a compressed archive, another file', () => {
    const path = join(home, 'image.tar.gz');
    spawnSync('tar', ['-C', layout.finish(), '-czf', path, '.']);
    refused(path, `${path} is not an image layout: compressed with gzip: decompress it first`);
    refused('/etc/passwd', '/etc/passwd is not an image layout: not a tar archive');
    refused('/dev/null', '/dev/null is not an image layout: neither a directory nor a file');
  });

  test('an archive that was cut off', () => {
    const path = join(home, 'image.tar');
    spawnSync('tar', ['-C', layout.finish(layout.image({ layers: [LAYER] })), '-cf', path, '.']);
    truncateSync(path, 2000);
    refused(path, /is not an image layout: the tar archive is cut off/);
  });
});

describe('a layout with mistakes', () => {
  test('oci-layout of another version, index.json missing, or not JSON', () => {
    const path = layout.finish(layout.image());
    writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}');
    refused(path, /oci-layout: \/imageLayoutVersion: "2\.0\.0"; allowed: .*1\.0\.0/);
    layout.finish(layout.image());
    writeFileSync(join(path, 'index.json'), '{"schemaVersion": 2,');
    refused(path, /index\.json: not JSON: line 1, column \d+/);
    unlinkSync(join(path, 'index.json'));
    refused(path, `${path} is not a complete image layout: it has no index.json`);
  });

  test('an index that breaks its schema: each mistake is named', () => {
    const path = layout.finish();
    writeFileSync(
      join(path, 'index.json'),
      '{"schemaVersion": 1, "manifests": [{"mediaType": "x", "digest": "y", "size": -1}]}',
    );
    refused(
      path,
      /index\.json: 4 mistakes\n {2}\/schemaVersion: 1; .*\n {2}\/manifests\/0\/mediaType.*\n {2}\/manifests\/0\/digest.*\n {2}\/manifests\/0\/size: -1/,
    );
  });

  test('a tag or a platform that does not exist is answered with those that do', () => {
    const path = layout.finish(
      tagged(forPlatform(layout.image(), 'linux/amd64'), '1.0'),
      tagged(
        layout.index(
          forPlatform(layout.image({ config: { author: 'a' } }), 'linux/arm64'),
          forPlatform(layout.image({ config: { author: 'b' } }), 'linux/arm/v7'),
          forPlatform(layout.image({ config: { author: 'c' } }), 'unknown/unknown'),
        ),
        '2.0',
      ),
    );
    refused(`${path}:3.0`, `${path} has no tag "3.0"; it has 1.0, 2.0`);
    refused(
      `${path}:2.0`,
      `${path} has no image for linux/s390x, only for linux/arm64, linux/arm/v7`,
      '--platform',
      'linux/s390x',
    );
    refused(
      `${path}:1.0`,
      `${path} has no image for linux/arm64, only for linux/amd64`,
      '--platform',
      'linux/arm64',
    );
    refused(
      `${path}:1.0`,
      'platform "arm64": want OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64',
      '--platform',
      'arm64',
    );
  });

  test('indexes without end', () => {
    let index = layout.index(layout.image());
    for (let depth = 0; depth < 20; depth++) index = layout.index(index);
    refused(layout.finish(index), /image indexes are nested more than 8 deep/);
  });
});

describe('blobs that are not what they should be', () => {
  test('missing, of another size, of other content: the layer is named', () => {
    const manifest = layout.image({ layers: [LAYER] });
    const path = layout.finish(manifest);
    const { digest, size } = layerOf(manifest);
    const blob = readFileSync(layout.file(digest));
    const called = `layer 1 of 1 (${digest})`;
    blob[blob.length - 1] = (blob.at(-1) as number) ^ 1;
    writeFileSync(layout.file(digest), blob);
    refused(
      path,
      `${called}: the content in ${path} is not what this digest names, but ${digestOf(blob)}`,
    );
    truncateSync(layout.file(digest), 20);
    refused(path, `${called}: is 20 bytes long, but its descriptor says ${size}`);
    unlinkSync(layout.file(digest));
    refused(path, `${called}: is missing in ${path}`);
  });

  test('a layer whose uncompressed content is another', () => {
    const diff_ids = [digestOf(Buffer.from('other'))];
    const image = layout.image({
      layers: [LAYER],
      config: { rootfs: { type: 'layers', diff_ids } },
    });
    refused(layout.finish(image), new RegExp(`${digestOf(LAYER)}.*${diff_ids[0]}`));
  });

  test('a truncated gzip, although its digest is right', () => {
    const manifest = layout.image({ layers: [LAYER] });
    const half = readFileSync(layout.file(layerOf(manifest).digest)).subarray(0, 40);
    const image = layout.image({
      layers: [LAYER],
      manifest: { layers: [layout.blob(MEDIA.gzip, half)] },
    });
    refused(layout.finish(image), /layer 1 of 1 .*gzip data is truncated/);
  });

  test('a document that could be read as two kinds, or calls itself another', () => {
    const both = layout.image({ manifest: { manifests: [] } });
    refused(layout.finish(both), /image manifest sha256:.*\/manifests: .*allowed: nothing/);
    const layers = layout.blob(MEDIA.index, { schemaVersion: 2, manifests: [], layers: [] });
    refused(layout.finish(layers), /image index sha256:.*\/layers: .*allowed: nothing/);
    const docker = 'application/vnd.docker.distribution.manifest.v2+json';
    const renamed = layout.image({ manifest: { mediaType: docker } });
    refused(
      layout.finish(renamed),
      `image manifest ${renamed.digest}: its mediaType is ${docker}, but its descriptor says ${MEDIA.manifest}`,
    );
  });

  test('artifacts, encrypted layers, other systems, counts that differ', () => {
    const empty = layout.blob('application/vnd.oci.empty.v1+json', {});
    refused(
      layout.finish(layout.image({ manifest: { config: empty, artifactType: 'text/x-sbom' } })),
      /this is no image of a root filesystem: its configuration's media type is application\/vnd\.oci\.empty/,
    );
    refused(
      layout.finish(layout.blob('application/vnd.example.thing', {})),
      /sha256:\w+ is no image: its media type is application\/vnd\.example\.thing/,
    );
    const encrypted = layout.blob(`${MEDIA.gzip}+encrypted`, LAYER);
    refused(
      layout.finish(layout.image({ layers: [LAYER], manifest: { layers: [encrypted] } })),
      /^scow-bundle: layer 1 of 1 \(sha256:\w+\): its media type ".*\+encrypted" is no layer's/,
    );
    refused(
      layout.finish(layout.image({ config: { os: 'windows' } })),
      'the image is for windows/amd64: only Linux images can be unpacked',
    );
    refused(
      layout.finish(layout.image({ layers: [LAYER], manifest: { layers: [] } })),
      'the image has 0 layers in its manifest, but 1 diff_ids in its configuration',
    );
    refused(
      layout.finish(layout.image({ config: { rootfs: { type: 'tarballs', diff_ids: [] } } })),
      /\/rootfs\/type: "tarballs"; allowed: /,
    );
  });
});

test('a user that the image does not know, and a FIFO where its users should be', () => {
  const user = layout.image({ layers: [LAYER], config: { config: { User: 'app' } } });
  refused(
    layout.finish(user),
    'the image\'s User "app": the image\'s /etc/passwd has no user "app"',
  );
  const layers = [archive(file('etc/passwd', '', { type: '6' }))];
  const fifo = layout.image({ layers, config: { config: { User: 'app' } } });
  refused(layout.finish(fifo), "the image's /etc/passwd is not a regular file");
});

test('names from an image cannot steer a terminal', () => {
  const path = layout.finish(tagged(layout.image(), '\u001b[2Jx'));
  refused(`${path}:y`, /it has \\u001b\[2Jx\n$/);
});

test('the place of the bundle is taken, or is nowhere', () => {
  const image = layout.finish(layout.image());
  const at = (target: string) => scowBundle(['unpack', '--image', image, target]).stderr;
  expect(at('/etc/passwd')).toBe(
    'scow-bundle: /etc/passwd exists, and is not a directory: choose another place\n',
  );
  expect(at(home)).toMatch(/is not empty; choose another place, or remove it first\n$/);
  expect(at(join(home, 'a/b'))).toBe(
    `scow-bundle: cannot make the bundle ${home}/a/b: there is no ${home}/a\n`,
  );
  expect(at('')).toBe('scow-bundle: the name of the bundle is empty: want a directory\n');
  expect(at('/proc/bundle')).toBe(
    'scow-bundle: cannot make the bundle /proc/bundle: no such file or directory (ENOENT)\n',
  );
});

test.each([
  [['delete'], 'missing required argument: bundle (see scow-bundle delete --help)'],
  [['unpack'], 'missing required arguments: bundle, --image (see scow-bundle unpack --help)'],
  [['unpack', '--imgae', 'x', 'y'], 'unknown argument: imgae (see scow-bundle unpack --help)'],
  [['unpack', '--image', 'x', 'y', 'z'], 'unknown argument: z (see scow-bundle unpack --help)'],
  [['unpack', '--image'], 'not enough arguments following: image (see scow-bundle unpack --help)'],
  [['unpack', '--json=x', 'y'], '--json takes no value (see scow-bundle unpack --help)'],
  [
    ['unpack', '--image', 'x', ''],
    'cannot open the image layout x: no such file or directory (ENOENT)',
  ],
])('the command line %j is refused', (args, message) => {
  expect(scowBundle(args)).toEqual({ status: 1, stdout: '', stderr: `scow-bundle: ${message}\n` });
});

test('an unknown command is refused, and those that are like it are named', () => {
  const { status, stdout, stderr } = scowBundle(['pack']);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(
    /^scow-bundle: unknown command "pack": there is .*\bunpack\b.* \(see scow-bundle --help\)\n$/,
  );
});
