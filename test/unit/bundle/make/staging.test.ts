import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { openStaging, type Staging } from '../../../../bundle/make/staging.ts';
import { home } from '../../../helpers/places/home-per-test.ts';

function build(staging: Staging): void {
  mkdirSync(join(staging.path, 'rootfs'));
  writeFileSync(join(staging.path, 'rootfs/file'), 'content');
  writeFileSync(join(staging.path, 'config.json'), '{}');
}

test('a new bundle appears at the end, with the mode of any new directory', () => {
  const bundle = join(home, 'bundle');
  const staging = openStaging(bundle);
  expect(statSync(staging.path).mode & 0o777).toBe(0o700);
  build(staging);
  expect(existsSync(bundle)).toBe(false);
  staging.commit();
  expect(readdirSync(home)).toEqual(['bundle']);
  expect(readdirSync(bundle)).toEqual(['config.json', 'rootfs']);
  expect(statSync(bundle).mode & 0o777).toBe(0o777 & ~process.umask());
});

test('an empty directory becomes the bundle and stays the same directory', () => {
  const bundle = join(home, 'bundle');
  mkdirSync(bundle, { mode: 0o750 });
  const { ino } = statSync(bundle);
  const staging = openStaging(bundle);
  build(staging);
  expect(existsSync(join(bundle, 'config.json'))).toBe(false);
  staging.commit();
  expect(readdirSync(bundle)).toEqual(['config.json', 'rootfs']);
  expect(readFileSync(join(bundle, 'rootfs/file'), 'utf8')).toBe('content');
  expect(statSync(bundle)).toMatchObject({ ino, mode: 0o40750 });
});

test.each(['bundle', 'there'])('what is given up vanishes: %s', (name) => {
  mkdirSync(join(home, 'there'));
  const staging = openStaging(join(home, name));
  build(staging);
  staging.discard();
  expect(readdirSync(home)).toEqual(['there']);
  expect(readdirSync(join(home, 'there'))).toEqual([]);
});

test('what is in the way is not touched', () => {
  writeFileSync(join(home, 'file'), '');
  expect(() => openStaging(join(home, 'file'))).toThrow('is not a directory');
  mkdirSync(join(home, 'full/x'), { recursive: true });
  expect(() => openStaging(join(home, 'full'))).toThrow('full is not empty');
  writeFileSync(join(home, 'full/config.json'), '');
  expect(() => openStaging(join(home, 'full'))).toThrow('a bundle is there already');
  symlinkSync('nowhere', join(home, 'dangling'));
  expect(() => openStaging(join(home, 'dangling'))).toThrow('is not a directory');
  expect(() => openStaging(join(home, 'missing/bundle'))).toThrow(`there is no ${home}/missing`);
  expect(readdirSync(home)).toEqual(['dangling', 'file', 'full']);
});

test('of two at the same place the first to end wins', () => {
  const first = openStaging(join(home, 'bundle'));
  const second = openStaging(join(home, 'bundle'));
  build(first);
  build(second);
  first.commit();
  expect(() => second.commit()).toThrow('directory not empty');
  second.discard();
  expect(readdirSync(home)).toEqual(['bundle']);
  expect(readdirSync(join(home, 'bundle'))).toEqual(['config.json', 'rootfs']);
});

/** Leaves what `openStaging` makes as a killed process leaves it: without its lock. */
function leftover(parent: string, prefix: string): string {
  const path = join(parent, `${prefix}0123abcd`);
  mkdirSync(path, { mode: 0o700 });
  return path;
}

test('what a killed unpack left is removed by the next one, what is in use is not', () => {
  const running = openStaging(join(home, 'bundle'));
  build({ ...running, path: leftover(home, '.bundle.scow-') });
  const next = openStaging(join(home, 'bundle'));
  expect(
    readdirSync(home)
      .map((name) => join(home, name))
      .sort(),
  ).toEqual([running.path, next.path].sort());
  running.discard();
  next.discard();
});

test('a directory that others may enter is not taken for a leftover', () => {
  const path = leftover(home, '.bundle.scow-');
  chmodSync(path, 0o755);
  openStaging(join(home, 'bundle')).discard();
  expect(existsSync(path)).toBe(true);
});

test('an unpack that was killed between the two steps of its end is undone', () => {
  const bundle = join(home, 'bundle');
  mkdirSync(join(bundle, 'rootfs/etc'), { recursive: true });
  writeFileSync(join(leftover(bundle, '.scow-'), 'config.json'), '{}');
  const staging = openStaging(bundle);
  expect(readdirSync(bundle)).toEqual([staging.path.split('/').at(-1)]);
  staging.discard();
});

test('a rootfs of somebody else is not taken for such a leftover', () => {
  const bundle = join(home, 'bundle');
  mkdirSync(join(bundle, 'rootfs/etc'), { recursive: true });
  expect(() => openStaging(bundle)).toThrow('is not empty');
  expect(existsSync(join(bundle, 'rootfs/etc'))).toBe(true);
});

test('a tree of any depth, with any names and modes, is removed; links are not followed', () => {
  const outside = join(home, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'precious'), '');
  const staging = openStaging(join(home, 'bundle'));
  // Deeper than a path may be long, which only a changing current folder can make.
  const script = `
    mkdir rootfs && cd rootfs
    printf x > "$(printf 'not\\377utf8')"; mkfifo fifo; ln -s ${outside} link; mkdir locked
    touch locked/file; chmod 0 locked
    deep=${'d/'.repeat(1200)}
    mkdir -p $deep && cd -P $deep && mkdir -p $deep && cd -P $deep || exit 1
    ln -s ${outside}/precious leaf
  `;
  const made = spawnSync('sh', ['-c', script], { cwd: staging.path, encoding: 'utf8' });
  expect(made).toMatchObject({ status: 0, stderr: '' });
  staging.discard();
  expect(readdirSync(home)).toEqual(['outside']);
  expect(readdirSync(outside)).toEqual(['precious']);
});
