import { spawnSync } from 'node:child_process';
import { mkdtempSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { bundlerCommand, scowBundle } from '../../../helpers/bundler.ts';
import { digestOf, type ImageFields, LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-file.ts';
import { archive, directory, file, hardLink, symlink } from '../../../helpers/tar.ts';

/** blame, ls, cat and why: images are looked at without being unpacked. */

let layout: LayoutBuilder;
beforeAll(() => {
  layout = new LayoutBuilder(join(home, 'layout'));
  layout.finish(
    tagged(layout.image(fields), 'app'),
    tagged(layout.image({ ...fields, layers: [base, changes, loose] }), 'loose'),
  );
});

const base = archive(
  directory('usr/'),
  directory('usr/bin/'),
  file('usr/bin/tool', 'old tool', { mode: 0o4755, uid: 7, gid: 8 }),
  hardLink('usr/bin/alias', 'usr/bin/tool'),
  symlink('bin', 'usr/bin'),
  directory('etc/'),
  file('etc/passwd', 'root\n'),
  file('etc/gone', 'x'.repeat(5000)),
  directory('etc/dir/'),
  file('etc/dir/one', '1'),
);
const changes = archive(
  directory('etc/'),
  file('etc/.wh.gone'),
  file('etc/passwd', 'root\nuser\n'),
  directory('etc/dir/'),
  file('etc/dir/.wh..wh..opq'),
  file('etc/dir/two', '2'),
  symlink('etc/link', '../bin/tool'),
  symlink('etc/loop', 'loop'),
);
const top = archive(directory('usr/'), directory('usr/bin/'), file('usr/bin/new', 'new'));
/** Its parent is a link of the base. */
const loose = archive(file('bin/tool', 'newest tool'));
const fields: ImageFields = {
  layers: [base, changes, top],
  config: {
    history: [
      { created_by: 'ADD base.tar /' },
      { created_by: 'CMD ["sh"]', empty_layer: true },
      { created_by: 'RUN change' },
      { created_by: 'COPY new /usr/bin' },
    ],
  },
};

function bundler(...args: string[]): string {
  const { status, stdout, stderr } = scowBundle(args);
  if (status !== 0 || stderr !== '') throw new Error(`${args.join(' ')}: ${status} ${stderr}`);
  return stdout;
}

function failing(...args: string[]): string {
  const { status, stdout, stderr } = scowBundle(args);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  return stderr;
}

const cells = (text: string) => text.split('\n').map((line) => line.trim().split(/ {3,}/));
const app = () => `oci:${layout.path}:app`;

test('blame tells what each layer did, and what it wastes', () => {
  expect(cells(bundler('blame', app()))).toEqual([
    ['LAYER', 'DIGEST', 'FILES', 'WASTED', 'CREATED', 'CHANGED', 'DELETED', 'CREATED BY'],
    ['1', expect.anything(), '4.9 KiB', '4.9 KiB', '10', '0', '0', 'ADD base.tar /'],
    ['2', expect.anything(), '11 B', '0 B', '3', '3', '2', 'RUN change'],
    ['3', expect.anything(), '3 B', '0 B', '1', '2', '0', 'COPY new /usr/bin'],
    [''],
    ['WASTED', 'LAYER', 'SINCE', 'PATH'],
    ['4.9 KiB', '1', 'deleted by 2', '/etc/gone'],
    ['5 B', '1', 'changed by 2', '/etc/passwd'],
    ['1 B', '1', 'deleted by 2', '/etc/dir/one'],
    [''],
  ]);
  expect(cells(bundler('blame', app(), '/etc/passwd'))).toEqual([
    ['LAYER', 'WHAT', 'SIZE', 'PATH', 'CREATED BY'],
    ['1', 'created', '5 B', '/etc/passwd', 'ADD base.tar /'],
    ['2', 'changed', '10 B', '/etc/passwd', 'RUN change'],
    [''],
  ]);
  expect(JSON.parse(bundler('blame', '--format', 'json', app(), 'etc/dir')).paths).toEqual([
    {
      path: '/etc/dir',
      deeds: [
        { layer: 1, what: 'created' },
        { layer: 2, what: 'changed' },
      ],
    },
    {
      path: '/etc/dir/one',
      deeds: [
        { layer: 1, what: 'created', size: 1 },
        { layer: 2, what: 'deleted' },
      ],
    },
    { path: '/etc/dir/two', deeds: [{ layer: 2, what: 'created', size: 1 }] },
  ]);
  expect(failing('blame', app(), '/nothing')).toContain('/nothing is in no layer of the image');
});

test('ls shows the tree that all layers make', () => {
  expect(bundler('ls', app())).toBe('bin\netc\nusr\n');
  expect(bundler('ls', `${app()}:/etc`)).toBe('dir\nlink\nloop\npasswd\n');
  expect(bundler('ls', '-R', app(), 'etc')).toBe(
    '/etc/dir\n/etc/dir/two\n/etc/link\n/etc/loop\n/etc/passwd\n',
  );
  expect(bundler('ls', '-l', app(), '/bin')).toBe(
    [
      '-rwsr-xr-x     7     8          8 2001-09-09 01:46 alias',
      '-rw-r--r--     0     0          3 2001-09-09 01:46 new',
      '-rwsr-xr-x     7     8          8 2001-09-09 01:46 tool',
      '',
    ].join('\n'),
  );
  expect(bundler('ls', '-l', app(), 'etc')).toContain(' link -> ../bin/tool\n');
  expect(JSON.parse(bundler('ls', '--format', 'json', app(), '/etc/passwd'))).toEqual([
    {
      path: '/etc/passwd',
      type: 'file',
      mode: '0644',
      uid: 0,
      gid: 0,
      size: 10,
      mtime: '2001-09-09T01:46:40.000Z',
      layer: 2,
    },
  ]);
  expect(failing('ls', app(), '/etc/gone')).toContain('/etc/gone: there is nothing in the image');
});

test.each([
  ['/etc/passwd', 'root\nuser\n'],
  ['usr/bin/alias', 'old tool'],
  ['/bin/tool', 'old tool'],
  ['/etc/link', 'old tool'],
  ['/etc/../etc/dir/two', '2'],
  ['/usr/bin/new', 'new'],
])('cat prints %s', (path, content) => {
  expect(bundler('cat', app(), path)).toBe(content);
  expect(bundler('cat', `${app()}:${path.startsWith('/') ? path : `/${path}`}`)).toBe(content);
});

test('cat tells what it can not print, and verifies what it did', () => {
  for (const path of ['/etc/gone', '/etc/dir/one', '/etc/loop', '/etc/passwd/x', '/nothing'])
    expect(failing('cat', app(), path)).toMatch(
      /there is no such file in the image|symbolic links/,
    );
  expect(failing('cat', app(), '/etc')).toContain('/etc is a directory, not a file with content');
  expect(failing('cat', app(), '/')).toContain('/ is a directory');
  // An entry whose parent only a lower layer has: then all of them are read.
  expect(bundler('cat', `oci:${layout.path}:loose`, '/usr/bin/tool')).toBe('newest tool');
  expect(bundler('cat', `oci:${layout.path}:loose`, '/usr/bin/alias')).toBe('old tool');
});

test('cat reads no layer below the one that has the file', () => {
  const broken = new LayoutBuilder(join(home, 'broken'));
  broken.finish(tagged(broken.image(fields), 'app'));
  truncateSync(broken.file(digestOf(gzipSync(base))), 3);
  expect(bundler('cat', `oci:${broken.path}:app`, '/etc/passwd')).toBe('root\nuser\n');
  expect(failing('cat', `oci:${broken.path}:app`, '/usr/bin/tool')).toContain('layer 1 of 3');
});

test('cat ends silently when its reader has seen enough', () => {
  const large = new LayoutBuilder(join(home, 'large'));
  large.finish(tagged(large.image({ layers: [archive(file('a', 'a'.repeat(1_000_000)))] }), 'x'));
  const line = '"$@" | head -c 3; echo " $PIPESTATUS"';
  const words = [...bundlerCommand('bun'), 'cat', `oci:${large.path}:x`, '/a'];
  const { stdout, stderr } = spawnSync('bash', ['-c', line, 'bash', ...words], {
    encoding: 'utf8',
  });
  expect({ stdout, stderr }).toEqual({ stdout: 'aaa 141\n', stderr: '' });
});

describe('why', () => {
  const imageOf = (...entries: Buffer[]) => ({ layers: [archive(...entries)] });
  const one = file('one', 'content');
  const two = file('two', 'content');

  function why(first: ImageFields, second: ImageFields): string {
    const pair = new LayoutBuilder(mkdtempSync(join(home, 'pair-')));
    pair.finish(tagged(pair.image(first), 'a'), tagged(pair.image(second), 'b'));
    return bundler('why', `oci:${pair.path}:a`, `oci:${pair.path}:b`);
  }

  test.each<[string, ImageFields, ImageFields, RegExp]>([
    ['the same', imageOf(one), imageOf(one), /^they are the same\n$/],
    [
      'order',
      imageOf(one, two),
      imageOf(two, one),
      /^layer 1 \(\w+, \w+\): their entries differ\n {2}order: 1 entry\n {4}one: entry 1 and entry 2\n$/,
    ],
    [
      'times and owners',
      imageOf(one, two),
      imageOf(file('one', 'content', { uid: 5 }), file('two', 'content', { mtime: 0 })),
      / {2}owner: 1 entry\n {4}one: 0:0 and 5:0\n {2}time: 1 entry\n {4}two: 2001-09-09T01:46:40Z and 1970-01-01T00:00:00Z\n$/,
    ],
    [
      'content and names',
      imageOf(one, two),
      imageOf(file('one', 'CONTENT'), file('three')),
      /content: 1 entry\n {4}one: 7 bytes, sha256:\w+ and 7 bytes, sha256:\w+\n {2}only in the first: 1 entry\n {4}two: file and nothing\n {2}only in the second/,
    ],
    [
      'headers',
      imageOf(file('one', 'content', { format: 'gnu' })),
      imageOf(one),
      /: the same entries, whose headers are written in another way\n$/,
    ],
    [
      'compression',
      imageOf(one),
      { ...imageOf(one), plain: true },
      /: the same archive, compressed in another way: gzip \(.*\) and not compressed\n$/,
    ],
    [
      'configuration',
      { config: { author: 'a', config: { Env: ['A=1'] } } },
      { config: { author: 'b', config: { Env: ['A=2'] } } },
      /^configuration: \/author: "a" and "b"\nconfiguration: \/config\/Env\/0: "A=1" and "A=2"\n$/,
    ],
    [
      'manifest',
      { manifest: { annotations: { 'a/b': '1' } } },
      {},
      /^manifest: \/annotations: \{"a\/b":"1"\} and nothing\n$/,
    ],
  ])('%s', (_, first, second, text) => {
    expect(why(first, second)).toMatch(text);
  });

  test('a layer more, for programs', () => {
    const pair = new LayoutBuilder(join(home, 'more'));
    const [first, second] = [archive(one), archive(two)];
    pair.finish(
      tagged(pair.image({ layers: [first] }), 'a'),
      tagged(pair.image({ layers: [second, first] }), 'b'),
    );
    const found = bundler('why', '--format', 'json', `oci:${pair.path}:a`, `oci:${pair.path}:b`);
    expect(JSON.parse(found)).toMatchObject({
      same: false,
      layers: [
        { layer: 1, message: 'it is layer 2 of the second' },
        { layer: 2, message: 'only the second has it' },
      ],
    });
  });
});
