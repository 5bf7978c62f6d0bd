import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { lowerDirectories, readRecord } from '../../../../bundle/existing/record.ts';
import { mountAtOnce, mountLayerByLayer } from '../../../../bundle/mount/overlay.ts';
import { unmount } from '../../../../bundle/mount/table.ts';
import { bundlerCommand, scowBundle } from '../../../helpers/bundler.ts';
import { runBundle } from '../../../helpers/container.ts';
import { digestOf, type ImageFields, LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-file.ts';
import { reachableBuild } from '../../../helpers/reachable-build.ts';
import { cleanUp, ENGINES, eventually, newId, rootOf, scow } from '../../../helpers/scow.ts';
import { archive, directory, file, hardLink, symlink } from '../../../helpers/tar.ts';
import { differences, readTree } from '../../../helpers/tree.ts';

/** Bundles whose root filesystem is a mount of unpacked layers: what they share, and what not. */

jest.setTimeout(300_000);

const DONE = { status: 0, stdout: '', stderr: '' };
const USER = { uid: 4321, gid: 4321 };

let store: string;
let image: string;

beforeAll(() => {
  // Where an upper directory can be, also if the tests run in a container.
  spawnSync('chmod', ['755', home]);
  store = join(home, 'store');
  image = imageOf('image', { layers: LAYERS, config: { config: { Cmd: ['/bin/sh'] } } });
});
afterEach(cleanUp);

const busybox = () => readFileSync('/bin/busybox');

/** A base, and a layer that hides, replaces, links to and leaves out what the base has. */
const LAYERS = [
  archive(
    directory('bin'),
    file('bin/busybox', busybox(), { mode: 0o755 }),
    ...['sh', 'ls', 'rm', 'mv', 'cat', 'sleep', 'ln', 'mkdir'].map((name) =>
      hardLink(`bin/${name}`, 'bin/busybox'),
    ),
    ...['dev', 'proc', 'sys', 'tmp'].map((name) => directory(name)),
    directory('data', { mode: 0o2751, uid: 7, gid: 8, mtime: 12_345 }),
    file('data/kept', 'kept', { mode: 0o640, uid: 9, mtime: 99 }),
    file('data/linked', 'linked', { mode: 0o600, uid: 5, gid: 6, mtime: 77 }),
    hardLink('data/linked-below', 'data/linked'),
    hardLink('tmp/too', 'data/linked'),
    hardLink('tmp/gone', 'data/linked'),
    file('data/gone', 'gone'),
    directory('opaque'),
    file('opaque/old', 'old'),
    directory('opaque/below'),
    file('opaque/below/old', 'old'),
    directory('other'),
    file('other/old', 'old'),
    symlink('link', 'data'),
  ),
  archive(
    file('data/.wh.gone'),
    hardLink('link/again', 'data/linked'),
    file('link/through', 'through'),
    file('opaque/below/new', 'new'),
    file('opaque/.wh..wh..opq'),
    file('.wh.other'),
    file('other', 'a file now'),
  ),
  // Links to what the layer before has copied from the base, and away with one of the names.
  archive(
    hardLink('third', 'data/linked'),
    file('tmp/.wh.gone'),
    hardLink('once-more', 'data/again'),
    file('data/.wh.again'),
  ),
];

function imageOf(name: string, fields: ImageFields): string {
  const layout = new LayoutBuilder(join(home, name));
  return `oci:${layout.finish(tagged(layout.image(fields), 'v1'))}:v1`;
}

function create(bundle: string, ...args: string[]) {
  return scowBundle(['--store', store, 'create', ...args, image, join(home, bundle)]);
}

function remove(...bundles: string[]) {
  return scowBundle([
    ...['delete', '--root', rootOf('scow'), '--force'],
    ...bundles.map((name) => join(home, name)),
  ]);
}

/** What `unpack` makes of the image. */
function unpacked(): ReturnType<typeof readTree> {
  const bundle = join(home, 'unpacked');
  if (!existsSync(bundle))
    expect(scowBundle(['unpack', '--image', image.replace('oci:', ''), bundle])).toEqual(DONE);
  return readTree(join(bundle, 'rootfs'));
}

test.each(ENGINES)('what a container changes stays in its bundle (%s)', (engine) => {
  const layers = () => readTree(join(store, 'layers'));
  const args = ['--store', store, 'create', image];
  for (const name of ['one', 'two'])
    expect(scowBundle([...args, join(home, name)], { engine })).toEqual(DONE);
  try {
    const before = layers();
    expect(differences(unpacked(), readTree(join(home, 'one/rootfs')))).toEqual([]);
    const script = `
      echo changed > /data/kept; rm /data/linked /bin/ls; rm -r /opaque; mkdir /opaque
      mv /other /moved; echo new > /data/new; ln /data/through /data/linked`;
    const config = JSON.parse(readFileSync(join(home, 'one/config.json'), 'utf8'));
    config.process.args = ['/bin/sh', '-ec', script];
    for (const set of ['bounding', 'permitted', 'effective'])
      config.process.capabilities[set].push('CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_CHOWN');
    writeFileSync(join(home, 'one/config.json'), JSON.stringify(config));
    expect(runBundle(engine, join(home, 'one'))).toMatchObject(DONE);
    expect(readFileSync(join(home, 'one/rootfs/data/kept'), 'utf8')).toBe('changed\n');
    expect(readdirSync(join(home, 'one/rootfs/opaque'))).toEqual([]);
    expect(differences(unpacked(), readTree(join(home, 'two/rootfs')))).toEqual([]);
    expect(differences(before, layers())).toEqual([]);
    // What was changed outlives the mount.
    expect(scowBundle(['unmount', join(home, 'one'), join(home, 'two')])).toEqual(DONE);
    expect(readdirSync(join(home, 'one/rootfs'))).toEqual([]);
    expect(scowBundle(['mount', join(home, 'one')])).toEqual({
      ...DONE,
      stdout: `${join(home, 'one/rootfs')}\n`,
    });
    expect(readFileSync(join(home, 'one/rootfs/data/new'), 'utf8')).toBe('new\n');
  } finally {
    expect(remove('one', 'two')).toEqual(DONE);
  }
  expect(readdirSync(join(store, 'leases'))).toEqual([]);
});

test('an image of 127 layers is mounted, by the new calls and by the old one', () => {
  const layers = Array.from({ length: 127 }, (_, i) =>
    archive(file(`file-${i}`, `${i}`), file('last', `${i}`), file(`.wh.file-${i - 2}`)),
  );
  const many = imageOf('many', { layers });
  const bundle = join(home, 'deep');
  expect(scowBundle(['--store', store, 'create', many, bundle])).toEqual(DONE);
  try {
    const expected = ['file-125', 'file-126', 'last'];
    const rootfs = join(bundle, 'rootfs');
    expect(readdirSync(rootfs).sort()).toEqual(expected);
    expect(scowBundle(['unmount', bundle])).toEqual(DONE);
    const overlay = {
      lower: lowerDirectories(readRecord(bundle)),
      upper: join(bundle, 'upper'),
      work: join(bundle, 'work'),
      userXattrs: false,
    };
    for (const way of [mountLayerByLayer, mountAtOnce]) {
      way(overlay, rootfs);
      expect(readdirSync(rootfs).sort()).toEqual(expected);
      expect(readFileSync(join(rootfs, 'last'), 'utf8')).toBe('126');
      unmount(rootfs);
    }
  } finally {
    expect(remove('deep')).toEqual(DONE);
  }
});

test('a bundle in use is not removed, and nothing outside of a bundle is', async () => {
  expect(create('busy')).toEqual(DONE);
  const bundle = join(home, 'busy');
  const outside = join(home, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'file'), 'stays');
  try {
    const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
    config.process.args = ['/bin/sleep', '1000'];
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
    const id = newId();
    expect(scow(['run', '--detach', '--bundle', bundle, id])).toMatchObject({ status: 0 });
    for (const verb of [['delete'], ['delete', '--dry-run'], ['unmount']])
      expect(scowBundle([...verb, '--root', rootOf('scow'), bundle])).toEqual({
        status: 1,
        stdout: '',
        stderr: expect.stringMatching(
          new RegExp(`^scow-bundle: container ${id} is running and uses ${bundle}: .*\n$`),
        ),
      });
    // Another runtime's, as far as this one can tell.
    expect(scowBundle(['delete', '--root', join(home, 'nowhere'), bundle])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^scow-bundle: process \d+ has its root in .*\n$/),
    });
    scow(['delete', '--force', id]);
    symlinkSync(outside, join(bundle, 'rootfs/to-outside'));
    symlinkSync(outside, join(bundle, 'upper/also'));
    mkdirSync(join(bundle, 'mine'));
    for (const name of ['mine', 'rootfs/tmp'])
      spawnSync('mount', ['--bind', outside, join(bundle, name)]);
    expect(scowBundle(['delete', bundle])).toEqual({
      ...DONE,
      status: 1,
      stderr: `scow-bundle: ${bundle}/mine is a mount in the bundle ${bundle}: unmount it first\n`,
    });
    expect(existsSync(join(bundle, 'rootfs/bin'))).toBe(true);
    spawnSync('umount', [join(bundle, 'mine')]);
    expect(scowBundle(['delete', '--dry-run', bundle])).toEqual({
      ...DONE,
      stdout: `would be deleted: ${bundle}\n`,
    });
    expect(existsSync(join(bundle, 'rootfs/bin'))).toBe(true);
  } finally {
    expect(remove('busy')).toEqual(DONE);
  }
  expect(existsSync(bundle)).toBe(false);
  expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('stays');
  expect(scowBundle(['delete', outside])).toMatchObject({
    status: 1,
    stderr: `scow-bundle: ${outside} is no bundle that scow-bundle made: it has no scow.json\n`,
  });
});

test('neither remove nor prune takes what a bundle is made of', () => {
  const words = (...args: string[]) => scowBundle(['--store', store, ...args]);
  expect(words('copy', '--quiet', image, 'mine')).toMatchObject({ status: 0 });
  const bundle = join(home, 'leased');
  expect(words('create', 'mine', bundle)).toEqual(DONE);
  try {
    expect(words('unmount', bundle)).toEqual(DONE);
    words('remove', '--force', 'mine');
    expect(words('prune')).toMatchObject({ status: 0 });
    expect(words('mount', bundle)).toMatchObject({ status: 0, stderr: '' });
    expect(differences(unpacked(), readTree(join(bundle, 'rootfs')))).toEqual([]);
  } finally {
    expect(remove('leased')).toEqual(DONE);
  }
  expect(words('prune')).toMatchObject({ status: 0 });
  expect(readdirSync(join(store, 'layers'))).toEqual([]);
});

test('a layer with another diffID than the image says is not kept, nor what is above it', () => {
  const layers = ['lowest', 'wrong', 'above'].map((name) => archive(file(name, name)));
  const diffIds = layers.map((layer, i) => digestOf(i === 1 ? Buffer.from('x') : layer));
  const wrong = imageOf('wrong', {
    layers,
    config: { rootfs: { type: 'layers', diff_ids: diffIds } },
  });
  const own = join(home, 'own');
  const result = scowBundle(['--store', own, 'create', wrong, join(home, 'never')]);
  expect(result).toEqual({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(/^scow-bundle: layer 2 of 3 .*has the diffID sha256:.*\n$/),
  });
  expect(existsSync(join(home, 'never'))).toBe(false);
  for (const name of ['tmp', 'leases']) expect(readdirSync(join(own, name))).toEqual([]);
  const kept = readdirSync(join(own, 'layers'));
  expect(kept.filter((name) => name !== diffIds[0]?.replace(':', '-'))).toEqual([]);
});

test('where devices 0:0 cannot be made, whiteouts are files with an attribute', () => {
  const refusing = ['-f', '-qq', '-o', '/dev/null', '-e', 'inject=mknodat:error=EPERM'];
  const call = [...bundlerCommand('bun'), '--store', join(home, 'files'), 'create', image];
  const words = [...refusing, '-e', 'trace=mknodat', ...call, join(home, 'by-files')];
  const { status, stderr } = spawnSync('strace', words, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  try {
    const [, middle = ''] = lowerDirectories(readRecord(join(home, 'by-files')));
    expect(statSync(join(middle, 'data/gone')).isFile()).toBe(true);
    expect(differences(unpacked(), readTree(join(home, 'by-files/rootfs')))).toEqual([]);
    const copy = [...call.slice(0, -1), '--copy', image, join(home, 'copy-of-files')];
    expect(spawnSync(copy[0] as string, copy.slice(1)).status).toBe(0);
    expect(differences(unpacked(), readTree(join(home, 'copy-of-files/rootfs')))).toEqual([]);
  } finally {
    expect(remove('by-files', 'copy-of-files')).toEqual(DONE);
  }
});

test('what was killed leaves no half layer, and nothing that is not removed', async () => {
  const [command, ...first] = bundlerCommand('bun');
  const args = [...first, '--store', store, 'create', image, join(home, 'killed')];
  for (const wait of [30, 45, 60, 80, 100]) {
    rmSync(join(store, 'layers'), { recursive: true, force: true });
    const child = spawn(command, args, { stdio: 'ignore' });
    await new Promise((resolve) => setTimeout(resolve, wait));
    child.kill('SIGKILL');
    await once(child, 'exit');
    if (existsSync(join(home, 'killed/scow.json'))) expect(remove('killed')).toEqual(DONE);
  }
  expect(create('killed')).toEqual(DONE);
  try {
    expect(differences(unpacked(), readTree(join(home, 'killed/rootfs')))).toEqual([]);
  } finally {
    expect(remove('killed')).toEqual(DONE);
  }
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  expect(readdirSync(home).filter((name) => name.startsWith('.killed'))).toEqual([]);
});

test('where an upper directory cannot be, the files are copied, and one line says so', () => {
  const script = `
    mkdir lower upper work merged && mount -t tmpfs none upper && mkdir upper/u upper/w &&
    mount -t overlay none -o lowerdir=lower,upperdir=upper/u,workdir=upper/w merged &&
    "$@" merged/bundle && ls merged/bundle && cat merged/bundle/rootfs/data/kept`;
  const inner = join(home, 'inner');
  mkdirSync(inner);
  const words = ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh'];
  const call = [...bundlerCommand('bun'), '--store', store, 'create', image];
  const { status, stdout, stderr } = spawnSync('unshare', [...words, ...call], {
    cwd: inner,
    encoding: 'utf8',
  });
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: 'config.json\nrootfs\nscow.json\nkept',
    stderr: `scow-bundle: warning: the files are copied, for layers cannot be mounted here: ${inner}/merged is on an overlay itself\n`,
  });
});

describe('an ordinary user', () => {
  let build: string;
  beforeAll(() => {
    build = reachableBuild(home);
    for (const name of ['user', 'user/store']) mkdirSync(join(home, name));
    spawnSync('chown', ['-R', `${USER.uid}:${USER.gid}`, join(home, 'user')]);
    spawnSync('chmod', ['-R', 'a+rX', join(home, 'image')]);
  });

  function asUser(words: readonly string[]) {
    const ids = [`--reuid=${USER.uid}`, `--regid=${USER.gid}`, '--clear-groups'];
    const cwd = join(home, 'user');
    const { status, stdout, stderr } = spawnSync('setpriv', [...ids, '--', ...words], {
      cwd,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  }
  const call = () => [join(build, 'scow-bundle'), '--store', join(home, 'user/store')];

  test('has a copy, which one line says, and which is all its own', () => {
    expect(asUser([...call(), 'create', image, 'copied'])).toEqual({
      ...DONE,
      stderr:
        'scow-bundle: warning: the files are copied, for layers cannot be mounted here: it takes root, or a user namespace (unshare --user --map-root-user --mount)\n',
    });
    expect(asUser([...call(), 'unpack', '--image', image.replace('oci:', ''), 'plain'])).toEqual(
      DONE,
    );
    const [copied, plain] = ['copied', 'plain'].map((name) =>
      readTree(join(home, 'user', name, 'rootfs')),
    );
    expect(differences(plain as never, copied as never)).toEqual([]);
    expect(asUser([...call(), 'delete', 'copied', 'plain'])).toEqual(DONE);
  });

  test('has a mount in a user namespace', async () => {
    const script = `
      set -e; "$@" create ${image} plain; "$@" create --rootless ${image} mounted
      cd mounted/rootfs; echo data/* opaque/* opaque/below/*; cat other third data/kept
      echo; stat -c %u:%g:%a:%Y data; rm data/kept; echo ../upper/data/*`;
    const inside = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh'];
    const result = asUser([...inside, ...call()]);
    expect(result).toEqual({
      ...DONE,
      stdout:
        'data/kept data/linked data/linked-below data/through opaque/below opaque/below/new\na file nowlinkedkept\n0:0:2751:12345\n../upper/data/kept\n',
    });
    // The mount went with its namespace, the bundle did not.
    await eventually(() => readdirSync(join(home, 'user/mounted/rootfs')).length === 0);
    expect(asUser([...call(), 'delete', 'plain', 'mounted'])).toEqual(DONE);
  });
});
