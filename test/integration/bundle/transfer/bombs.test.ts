import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { archive, directory, file, pax } from '../../../helpers/tar.ts';
import { at, bundler, okIn, setUp, TREE, tearDown } from './archives-support.ts';

/** Images and archives that are small, and come to more than anybody has room or time for. */

beforeAll(setUp);
afterAll(tearDown);

test('nothing unpacks to more than --max-size allows', () => {
  const store = 'limited';
  const bomb = gzipSync(archive(file('small', 'x'), file('bomb', Buffer.alloc(3 * 2 ** 20))));
  const holes = archive(
    pax([
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.name', 'holes'],
      ['GNU.sparse.realsize', String(10 * 2 ** 40)],
    ]),
    file('x', '0\n'.padEnd(512, '\0')),
  );
  const headers = gzipSync(archive(...Array.from({ length: 2200 }, (_, i) => directory(`d${i}`))));
  const refused = (size: string, name: string, ...args: string[]) => {
    const { status, stderr } = bundler([args[0] as string, '--max-size', size, ...args.slice(1)], {
      store,
    });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(
        new RegExp(
          `^scow-bundle: [^\n]*: (d\\d+/: )?${name}up to here it comes to more than --max-size ${size} allows\n$`,
        ),
      ),
    });
  };
  for (const [name, entry, bytes] of [
    ['bomb', 'bomb: ', bomb],
    ['holes', 'holes: ', holes],
    ['headers', '', headers],
  ] as const) {
    writeFileSync(at(`${name}.tar`), bytes);
    refused('1M', entry, 'import', at(`${name}.tar`), `${name}:1`);
    okIn({ store }, 'import', at(`${name}.tar`), `${name}:1`);
    okIn({ store }, 'copy', `${name}:1`, `oci:${at(store, 'layout')}:${name}`);
    refused('1M', entry, 'create', `${name}:1`, at('bundle'));
    refused('1m', entry, 'unpack', '--image', `${at(store, 'layout')}:${name}`, at('bundle'));
    refused('1MiB', entry, 'run', `${name}:1`);
    const verify = ['verify', `${name}:1`];
    const limited = bundler([...verify, '--max-size', '1M'], { store });
    expect(limited.status).toBe(1);
    expect(limited.stdout).toContain(
      `${entry}up to here it comes to more than --max-size 1M allows\n`,
    );
    okIn({ store }, ...verify);
  }
  expect(existsSync(at('bundle'))).toBe(false);
  expect(bundler(['copy', '--max-size', '1K', 'bomb:1', `oci:${at('few')}:1`], { store })).toEqual({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(
      /^scow-bundle: bomb:1: its blobs come to \d{4} bytes, which is more than --max-size 1K allows\n$/,
    ),
  });
  okIn({ store }, 'create', '--copy', '--max-size', '4M', 'bomb:1', at(store, 'bundle'));
  okIn({ store }, 'save', '-o', at(store, 'bombs.tar'), 'bomb:1');
  writeFileSync(at(store, 'bombs.tar.gz'), gzipSync(readFileSync(at(store, 'bombs.tar'))));
  refused('1K', '', 'load', '-i', at(store, 'bombs.tar.gz'));
  okIn({ store }, 'load', '--max-size', '1M', '-i', at(store, 'bombs.tar.gz'));
  for (const size of ['', '0', '-1', '1.5G', 'much', '9999999999999999'])
    expect(bundler(['load', `--max-size=${size}`, '-i', at('tree.tar')], {}).stderr).toBe(
      `scow-bundle: --max-size ${JSON.stringify(size)} is no size: want a number of bytes above 0, or of KiB, MiB, GiB, TiB, such as 512M or 2G\n`,
    );
});

test('an index that lists the same ones again and again is read once', () => {
  const layout = new LayoutBuilder(at('again'));
  const image = layout.image({ layers: [TREE] });
  let index = layout.index(image, image);
  for (let depth = 0; depth < 6; depth++)
    index = layout.index(...Array.from({ length: 20 }, () => index));
  layout.finish(tagged(index, 'again:1'));
  const store = 'again-store';
  okIn({ store }, 'load', '-i', at('again'));
  okIn({ store }, 'images');
  okIn({ store }, 'inspect', index.digest);
  okIn({ store }, 'store', 'check', '--layers');
  okIn({ store }, 'save', '--all', '-o', at('again.tar'), 'again:1');
  okIn({ store }, 'load', '-i', at('again.tar'));
});
