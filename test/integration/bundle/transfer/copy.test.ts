import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Descriptor, Index } from '../../../../schemas/image.ts';
import { scowBundle } from '../../../helpers/bundler.ts';
import { blobsOf, digestOf, forPlatform, MEDIA, tagged } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { layout } from '../../../helpers/places/layout-per-test.ts';
import { program } from '../../../helpers/program.ts';
import { ENGINES } from '../../../helpers/scow.ts';
import { archive, directory, file, symlink } from '../../../helpers/tar.ts';

let one: Descriptor;
let index: Descriptor;
beforeEach(() => {
  const base = archive(directory('etc'), file('etc/name', 'a'));
  one = layout.image({ layers: [base, archive(file('b', 'b'))] });
  const other = layout.image({ layers: [base], config: { architecture: 'arm64' } });
  index = layout.index(forPlatform(one, 'linux/amd64'), forPlatform(other, 'linux/arm64'));
  layout.finish(tagged(one, 'one'), tagged(index, 'both'));
});

const at = (name: string) => join(home, name);
const copy = (...args: string[]) => scowBundle(['--store', at('store'), 'copy', ...args]);
/** Copies with success. @returns the digest */
function copied(...args: string[]): string {
  const { status, stdout, stderr } = copy('--quiet', ...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.trim();
}
const indexOf = (path: string): Index => JSON.parse(readFileSync(join(path, 'index.json'), 'utf8'));
const tagsOf = (path: string) =>
  indexOf(path).manifests.map((entry) => entry.annotations?.['org.opencontainers.image.ref.name']);

const skopeo = (...args: string[]) => program('skopeo', args);

describe.each(ENGINES)('under %s', (engine) => {
  test('an image goes from place to place, and back, with its digests', () => {
    const to = (place: string, from: string, ...flags: string[]) => {
      const words = ['--store', at('store'), 'copy', '-q', ...flags, from, place];
      const { status, stdout, stderr } = scowBundle(words, { engine });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      return stdout.trim();
    };
    const places = [
      `oci:${at('there')}:repository:1`,
      `oci-archive:${at('there.tar')}:1`,
      'thing:1',
      `docker-archive:${at('docker.tar')}:thing:1`,
      `oci:${at('back')}:one`,
    ];
    let from = `oci:${layout.path}:one`;
    for (const place of places) {
      expect(to(place, from)).toBe(one.digest);
      from = place;
    }
    expect(to(`oci:${at('back')}:both`, `oci:${layout.path}:both`, '--all')).toBe(index.digest);
    expect(blobsOf(at('back'))).toEqual(blobsOf(layout.path));
    expect(tagsOf(at('back'))).toEqual(['one', 'both']);
    // Others read them.
    for (const place of places.filter((name) => !name.startsWith('thing')))
      expect(
        JSON.parse(skopeo('inspect', place.replace(/^(docker-archive:[^:]*).*/, '$1')))
          .Architecture,
      ).toBe('amd64');
    const images = scowBundle(['--store', at('store'), 'images', '--format', 'json'], { engine });
    expect(images.stdout).toContain('localhost/thing:1');
  });
});

test('what is replaced stays whole when the new image is not', () => {
  const target = `oci:${at('there')}:x`;
  copied(`oci:${layout.path}:one`, target);
  const before = indexOf(at('there'));
  const [layer] = JSON.parse(readFileSync(layout.file(one.digest), 'utf8')).layers;
  copied(`oci:${layout.path}:one`, `oci-archive:${at('x.tar')}`);
  const archived = readFileSync(at('x.tar'));
  appendFileSync(layout.file(layer.digest), 'more');
  rmSync(join(at('there'), 'blobs/sha256', layer.digest.slice(7)));
  for (const place of [target, `oci-archive:${at('x.tar')}`, `oci:${at('new')}:x`]) {
    const { status, stdout, stderr } = copy(`oci:${layout.path}:one`, place);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(`layer 1 of 2 (${layer.digest}): is ${layer.size + 4} bytes long`);
  }
  expect(indexOf(at('there'))).toEqual(before);
  expect(readFileSync(at('x.tar')).equals(archived)).toBe(true);
  expect(readdirSync(home).sort()).toEqual(['layout', 'there', 'x.tar']);
  expect(readdirSync(at('there')).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
});

test('the same image makes the same archive, and a tag moves to the new image', () => {
  for (const kind of ['oci-archive', 'docker-archive']) {
    for (const name of ['a', 'b']) copied(`oci:${layout.path}:one`, `${kind}:${at(name)}:x:1`);
    expect(readFileSync(at('a')).equals(readFileSync(at('b')))).toBe(true);
  }
  copied(`oci:${layout.path}:one`, `oci:${at('there')}:x`);
  expect(
    copied('--platform', 'linux/arm64', `oci:${layout.path}:both`, `oci:${at('there')}:x`),
  ).not.toBe(one.digest);
  expect(tagsOf(at('there'))).toEqual(['x']);
  expect(indexOf(at('there')).manifests[0]?.platform).toEqual({
    os: 'linux',
    architecture: 'arm64',
  });
});

test("--format oci converts Docker's formats, and says so", () => {
  const docker = (name: string) => `application/vnd.docker.${name}`;
  const manifest = layout.blob(docker('distribution.manifest.v2+json'), {
    schemaVersion: 2,
    mediaType: docker('distribution.manifest.v2+json'),
    config: layout.blob(docker('container.image.v1+json'), {
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [digestOf(archive(file('a', 'a')))] },
    }),
    layers: [layout.blob(docker('image.rootfs.diff.tar.gzip'), gzipSync(archive(file('a', 'a'))))],
  });
  const list = layout.blob(docker('distribution.manifest.list.v2+json'), {
    schemaVersion: 2,
    mediaType: docker('distribution.manifest.list.v2+json'),
    manifests: [forPlatform(manifest, 'linux/amd64')],
  });
  layout.finish(tagged(list, 'docker'));
  // As it is.
  expect(copied('--all', `oci:${layout.path}:docker`, 'docker-image')).toBe(list.digest);
  const { status, stdout, stderr } = copy(
    '--all',
    '--format',
    'oci',
    'docker-image',
    `oci:${at('oci')}:x`,
  );
  expect(status).toBe(0);
  expect(stderr).toContain(`, converted from ${list.digest}\n`);
  const blob = (digest: string) =>
    JSON.parse(readFileSync(join(at('oci'), 'blobs', digest.replace(':', '/')), 'utf8'));
  const root = blob(stdout.trim());
  expect(root.mediaType).toBe(MEDIA.index);
  expect(root.manifests[0]).toMatchObject({
    mediaType: MEDIA.manifest,
    platform: { os: 'linux', architecture: 'amd64' },
  });
  const converted = blob(root.manifests[0].digest);
  expect(converted).toMatchObject({
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config },
    layers: [{ mediaType: MEDIA.gzip }],
  });
  // What is OCI's already keeps its digest.
  expect(copied('--format', 'oci', `oci:${at('oci')}:x`, `oci:${at('again')}:x`)).toBe(
    root.manifests[0].digest,
  );
});

test('a layout that is taken for a name, and one in a folder with the name of a kind', () => {
  const call = (...args: string[]) => scowBundle(['--store', at('store'), ...args], { cwd: home });
  expect(call('create', 'layout:one', 'bundle').stderr).toBe(
    `scow-bundle: no image "layout:one" in ${at('store')}: it is empty; if layout here is meant, write oci:layout:one\n`,
  );
  for (const tag of ['a b', '-x', 'a//b', 'a/'])
    expect(call('copy', 'oci:layout:one', `oci:out:${tag}`).stderr).toMatch(
      /^scow-bundle: the tag ".*" is none that an image layout can have: .*\n$/,
    );
  renameSync(at('layout'), at('oci'));
  expect(call('unpack', '--image', 'oci:one', 'bundle')).toMatchObject({ status: 0 });
  expect(call('unpack', '--image', 'oci:oci:both', 'both')).toMatchObject({ status: 0 });
  expect(call('export', '-o', 'flat.tar', 'oci:oci:one')).toMatchObject({ status: 0, stderr: '' });
  const { stdout } = spawnSync('tar', ['-tf', at('flat.tar')], { encoding: 'utf8' });
  expect(stdout).toBe('./\nb\netc/\netc/name\n');
});

test('archives of skopeo and podman, and of old Dockers with links, are read', () => {
  skopeo('copy', `oci:${layout.path}:one`, `docker-archive:${at('theirs.tar')}:theirs:1`);
  copied(`docker-archive:${at('theirs.tar')}`, `oci:${at('out')}:theirs`);
  const bundle = scowBundle(['unpack', '--image', `oci:${at('out')}:theirs`, at('bundle')]);
  expect(bundle).toMatchObject({ status: 0 });
  expect(readFileSync(at('bundle/rootfs/etc/name'), 'utf8')).toBe('a');
  expect(existsSync(at('bundle/rootfs/b'))).toBe(true);
  const layers = [archive(file('a', 'a')), gzipSync(archive(file('b', 'b')))];
  const config = {
    architecture: 'amd64',
    os: 'linux',
    rootfs: {
      type: 'layers',
      diff_ids: [archive(file('a', 'a')), archive(file('b', 'b')), archive(file('a', 'a'))].map(
        (tar) => digestOf(tar),
      ),
    },
  };
  const entry = (name: string) => ({
    Config: 'config.json',
    RepoTags: [`${name}:latest`],
    Layers: ['1/layer.tar', '2/layer.tar', '3/layer.tar'],
  });
  const old = archive(
    file('config.json', JSON.stringify(config)),
    directory('1'),
    file('1/layer.tar', layers[0]),
    file('2/layer.tar', layers[1]),
    symlink('3/layer.tar', '../1/layer.tar'),
    file('manifest.json', JSON.stringify([entry('old'), entry('other')])),
  );
  writeFileSync(at('old.tar'), old);
  copied(`docker-archive:${at('old.tar')}:old`, `oci:${at('out')}:old`);
  const { stdout } = scowBundle([
    '--store',
    at('store'),
    'copy',
    `docker-archive:${at('old.tar')}:other`,
    'x',
  ]);
  expect(stdout.trim()).toBe(indexOf(at('out')).manifests[1]?.digest);
  const unpacked = scowBundle(['unpack', '--image', 'docker-archive:old.tar:old', 'b2'], {
    cwd: home,
  });
  expect(unpacked).toMatchObject({ status: 0 });
  rmSync(at('b2/rootfs/b'));
  expect(scowBundle(['diff', at('b2')]).stdout).toBe('D /b\n');
  expect(copy(`docker-archive:${at('old.tar')}`, 'x').stderr).toBe(
    `scow-bundle: ${at('old.tar')} holds 2 images: name one of them: it has old:latest, other:latest\n`,
  );
  expect(copy(`docker-archive:${at('old.tar')}:new`, 'x').stderr).toBe(
    `scow-bundle: ${at('old.tar')} has no image "new"; it has old:latest, other:latest\n`,
  );
});

test('places that are none, and places that are taken, are told', () => {
  mkdirSync(at('taken'));
  writeFileSync(at('taken/file'), '');
  const from = `oci:${layout.path}:one`;
  const wrong = (...args: string[]) => {
    const { status, stdout, stderr } = copy(...args);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    return stderr.replaceAll(home, '~');
  };
  expect(wrong(from, `oci:${at('taken')}:x`)).toBe(
    'scow-bundle: ~/taken has other files, and is no OCI image layout: choose another place\n',
  );
  expect(wrong(from, `oci-archive:${at('taken')}`)).toBe(
    'scow-bundle: cannot write to ~/taken: it is a directory\n',
  );
  expect(wrong(from, `oci-archive:${at('none/x.tar')}`)).toMatch(
    /^scow-bundle: cannot write to ~\/none\/x\.tar: no such file or directory .*\n$/,
  );
  expect(wrong('--all', `oci:${layout.path}:both`, `docker-archive:${at('x.tar')}`)).toBe(
    'scow-bundle: ~/x.tar holds an image for one platform only: choose it with --platform, or copy to another place\n',
  );
  expect(wrong('dir:/x', from)).toContain(
    '"dir:/x": dir: is no kind of place; there is oci:DIR:TAG',
  );
  expect(wrong(from, 'oci:')).toBe('scow-bundle: oci:: a path is missing after the colon\n');
  expect(wrong('--format', 'v2s2', from, 'x')).toContain('--format "v2s2": want oci');
  expect(wrong('--all', '--platform', 'linux/arm64', from, 'x')).toContain('want one of them');
  expect(wrong('--timeout', 'soon', from, 'x')).toBe(
    'scow-bundle: --timeout "soon": want a whole number from 1\n',
  );
  expect(wrong('localhost/none', 'x')).toContain('no image "localhost/none"');
  expect(scowBundle(['--store', at('store'), 'push', 'thing']).stderr).toContain(
    '"thing" does not say which registry to push to',
  );
  expect(readdirSync(home).sort()).toEqual(['layout', 'taken']);
});

test('what happens is told: lines for people, objects for programs', () => {
  const from = `oci:${layout.path}:one`;
  const { stderr, stdout } = copy(from, 'app');
  expect(stderr.split('\n').sort()).toEqual([
    '',
    expect.stringMatching(/^app: \d+ B$/),
    expect.stringMatching(/^configuration [0-9a-f]{12}: \d+ B$/),
    expect.stringMatching(/^layer 1 of 2 [0-9a-f]{12}: \d+ B$/),
    expect.stringMatching(/^layer 2 of 2 [0-9a-f]{12}: \d+ B$/),
  ]);
  expect(stdout).toBe(`${one.digest}\n`);
  const events = copy('--json', from, 'app')
    .stdout.trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events[0]).toMatchObject({ event: 'begin', blobs: [{ what: 'configuration' }, {}, {}] });
  expect(events.slice(1, -1).map(({ event }) => event)).toEqual(['present', 'present', 'present']);
  expect(events.at(-1)).toEqual({
    event: 'end',
    name: 'app',
    digest: one.digest,
    mediaType: MEDIA.manifest,
  });
  const failed = copy('--json', `oci:${layout.path}:none`, 'app');
  expect(JSON.parse(failed.stdout)).toMatchObject({ event: 'error' });
});
