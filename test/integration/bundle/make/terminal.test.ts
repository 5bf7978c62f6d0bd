import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundlerCommand } from '../../../helpers/bundler.ts';
import { LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-file.ts';
import { Terminal } from '../../../helpers/pty.ts';
import { ENGINES, eventually } from '../../../helpers/scow.ts';
import { archive, entry, file } from '../../../helpers/tar.ts';

// What people see and do while an image is unpacked.

let layout: string;
let terminal: Terminal;
beforeAll(() => {
  const builder = new LayoutBuilder(join(home, 'layout'));
  const files = Array.from({ length: 64 }, (_, i) => file(`file-${i}`, Buffer.alloc(2 ** 20, i)));
  const device = entry({ name: 'null', type: '3', major: 1, minor: 3 });
  layout = builder.finish(
    tagged(builder.image({ layers: [archive(...files)], plain: true }), 'large'),
    tagged(builder.image({ layers: [archive(file('a')), archive(device)] }), 'small'),
  );
});
beforeEach(() => {
  terminal = new Terminal();
});
afterEach(() => {
  terminal.close();
  rmSync(join(home, 'bundle'), { recursive: true, force: true });
});

const words = (tag: string, ...flags: string[]) => [
  ...['unpack', '--image', `${layout}:${tag}`],
  ...flags,
  join(home, 'bundle'),
];

/** What the screen shows in the end, line by line: a line is written over after `\r`. */
function shown(): string[] {
  const lines = terminal.look().split('\r\n');
  return lines.map((line) => line.split('\r\u001b[K').at(-1) ?? '');
}

describe.each(ENGINES)('under %s', (engine) => {
  const command = bundlerCommand(engine);

  test('a bar moves, and one line stays', async () => {
    const { ended } = terminal.run([...command, ...words('large')]);
    await terminal.sees(/\rlayer 1 of 1 \[[#.]+\] +\d+% {2}[\d.]+ [KM]iB of 64\.\d MiB/);
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(shown()).toEqual([`${home}/bundle: linux/amd64, 1 layer, 64.0 MiB`, '']);
  });

  test('of an import the bytes are counted, and the ID stays', async () => {
    const folder = join(home, 'import');
    mkdirSync(folder);
    const tar = join(folder, 'small.tar');
    writeFileSync(tar, archive(file('a', 'content')));
    const store = ['--store', join(folder, 'store')];
    const { ended } = terminal.run([...command, ...store, 'import', tar, 'small:1']);
    await terminal.sees(/\rlayer: [\d.]+ (Ki)?B/);
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(shown()).toEqual([expect.stringMatching(/^sha256:[0-9a-f]{64}$/), '']);
    rmSync(folder, { recursive: true });
  });

  test('warnings have lines of their own', async () => {
    const { ended } = terminal.run([...command, ...words('small', '--rootless')]);
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(shown()).toEqual([
      expect.stringMatching(/^scow-bundle: warning: layer 2 of 2 .* takes the place of a device/),
      expect.stringMatching(/bundle: linux\/amd64, 2 layers, \d+ B$/),
      '',
    ]);
  });

  test('Ctrl-C stops it, and leaves nothing behind', async () => {
    const { ended } = terminal.run([...command, ...words('large')]);
    await terminal.sees(/layer 1 of 1/);
    terminal.type('\u0003');
    expect(await ended).toEqual({ code: 130, signal: null });
    expect(shown().slice(-2)).toEqual([
      `scow-bundle: stopped by SIGINT: nothing of ${home}/bundle was left`,
      '',
    ]);
    expect(readdirSync(home)).toEqual(['layout']);
  });

  test('Ctrl-S stops what is shown, not the work', async () => {
    const { ended } = terminal.run([...command, ...words('large')]);
    await terminal.sees(/layer 1 of 1/);
    terminal.type('\u0013');
    await eventually(() => existsSync(join(home, 'bundle')));
    terminal.type('\u0011');
    expect(await ended).toEqual({ code: 0, signal: null });
  });

  test('--quiet shows nothing', async () => {
    const { ended } = terminal.run([...command, ...words('small', '--quiet')]);
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(terminal.look()).toBe('');
  });
});

test('streams that cannot be written to', () => {
  const full = openSync('/dev/full', 'w');
  const [command, ...first] = bundlerCommand('bun');
  const run = (args: readonly string[], stdout: 'ignore' | number, stderr: 'pipe' | number) =>
    spawnSync(command, [...first, ...args], {
      stdio: ['ignore', stdout, stderr],
      encoding: 'utf8',
    });
  const told =
    /^scow-bundle: cannot write to standard output: no space left on device \(ENOSPC\)\n$/;
  expect(run(['--help'], full, 'pipe')).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(told),
  });
  expect(run(words('small', '--json'), full, 'pipe')).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(told),
  });
  expect(readdirSync(home)).toEqual(['layout']);
  // Nobody hears the warning; the bundle is made all the same.
  expect(run(words('small', '--rootless'), 'ignore', full)).toMatchObject({ status: 0 });
  expect(readdirSync(home)).toEqual(['bundle', 'layout']);
});
