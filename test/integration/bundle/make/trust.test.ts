import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Workshop } from '../workshop.ts';

/** What somebody else can change is not relied on. */

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.close());

const OTHER = 4321;

function refused(message: string, ...args: string[]): void {
  expect(shop.try(...args)).toEqual({ status: 1, stdout: '', stderr: `scow-bundle: ${message}\n` });
}

test('a store that is another user’s, or that others may write to', () => {
  const store = join(shop.home, 'store');
  const bundle = shop.bundle('create');
  const distrusted = (directory: string, why: string) => {
    const message = `${directory} ${why}: the image store ${store} cannot be trusted; it must be the caller's, and writable by nobody else (chown, chmod), or choose another --store`;
    refused(message, 'create', 'base:1', shop.next('refused'));
    refused(message, 'tag', 'base:1', 'other');
    shop.try('unmount', bundle);
    refused(message, 'mount', bundle);
    expect(shop.ok('images', '-q')).toMatch(/^[0-9a-f]+\n$/);
    expect(shop.try('copy', '-q', 'base:1', `oci:${shop.next('out')}:1`)).toMatchObject({
      stderr: '',
    });
  };
  const layers = join(store, 'layers');
  chmodSync(layers, 0o777);
  distrusted(layers, 'may be written to by others');
  chmodSync(layers, 0o700);
  const moved = shop.next('moved');
  renameSync(layers, moved);
  symlinkSync(moved, layers);
  distrusted(layers, 'is no directory');
  rmSync(layers);
  renameSync(moved, layers);
  chownSync(store, OTHER, OTHER);
  distrusted(store, `belongs to user ${OTHER}`);
  chownSync(store, 0, 0);
  shop.ok('delete', bundle);
});

test('a bundle that is another user’s, or has links where directories were', () => {
  const bundle = shop.bundle('create');
  shop.ok('unmount', bundle);
  const upper = join(bundle, 'upper');
  renameSync(upper, `${upper}.own`);
  symlinkSync('/etc', upper);
  const link = `cannot open ${upper}: it is a symbolic link, which is not followed`;
  refused(link, 'diff', bundle);
  refused(link, 'commit', bundle, 'stolen');
  refused(link, 'export', '-o', shop.next('out.tar'), bundle);
  refused(
    `${upper} is no directory any more: nothing is mounted over it, or with it`,
    'mount',
    bundle,
  );
  rmSync(upper);
  renameSync(`${upper}.own`, upper);
  chownSync(bundle, OTHER, OTHER);
  refused(
    `${bundle} belongs to user ${OTHER}: it can be mounted only by its owner`,
    'mount',
    bundle,
  );
  shop.ok('delete', bundle);

  const theirs = shop.next('theirs');
  mkdirSync(theirs);
  chownSync(theirs, OTHER, OTHER);
  expect(shop.try('create', '--quiet', 'base:1', theirs)).toEqual({
    status: 0,
    stdout: '',
    stderr: `scow-bundle: warning: the files are copied, since ${theirs} belongs to user ${OTHER}\n`,
  });
  shop.ok('delete', theirs);
});
