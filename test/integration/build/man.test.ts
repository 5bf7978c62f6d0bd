/** The manual pages that the build makes. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS as BUNDLER } from '../../../bundle/cli/table.ts';
import type { Flag } from '../../../runtime/cli/flag.ts';
import { MANUAL } from '../../../runtime/cli/manual.ts';
import { COMMANDS, GLOBAL_FLAGS } from '../../../runtime/cli/table.ts';

const DIRECTORY = 'build/man';
const PAGES = [
  'scow.8',
  ...COMMANDS.map(({ name }) => `scow-${name}.8`),
  'scow-bundle.1',
  ...BUNDLER.map(({ name }) => `scow-bundle-${name}.1`),
];

/** A page as a terminal shows it, on lines that are long enough for everything. */
function shown(page: string): string {
  const { stdout } = spawnSync(
    'mandoc',
    ['-T', 'utf8', '-O', 'width=1000', join(DIRECTORY, page)],
    {
      encoding: 'utf8',
    },
  );
  // Bold and underlined characters are struck twice.
  return stdout.replaceAll(/.[\b]/gu, '').replaceAll(/ +/g, ' ');
}

test('there is one for each command, and no other', () => {
  expect(readdirSync(DIRECTORY).sort()).toEqual(PAGES.toSorted());
  expect(Object.keys(MANUAL).filter((name) => !PAGES.includes(`scow-${name}.8`))).toEqual([]);
});

test.each(PAGES)('%s is read without a warning', (page) => {
  const file = join(DIRECTORY, page);
  const lint = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', file], { encoding: 'utf8' });
  expect(lint).toMatchObject({ status: 0, stdout: '', stderr: '' });
  const groff = spawnSync('groff', ['-ww', '-man', '-Tutf8', '-z', file], { encoding: 'utf8' });
  expect(groff).toMatchObject({ status: 0, stdout: '', stderr: '' });
});

test('they name every flag but the hidden ones, and what a command is for', () => {
  const all: [string, string, readonly Flag[]][] = [
    ['scow.8', '', GLOBAL_FLAGS],
    ...COMMANDS.map(({ name, about, flags }): [string, string, readonly Flag[]] => [
      `scow-${name}.8`,
      about,
      flags,
    ]),
  ];
  for (const [page, about, flags] of all) {
    const text = shown(page);
    expect(text).toContain(about);
    for (const { name, value, hidden } of flags) {
      const shows = new RegExp(`--${name}${value === undefined ? '' : ` ${value}`}[ \n]`).test(
        text,
      );
      expect([page, name, shows]).toEqual([page, name, !hidden]);
    }
  }
});

test('the date is that of the build, or of the sources', () => {
  expect(readFileSync(join(DIRECTORY, 'scow.8'), 'utf8')).toMatch(
    /^\.TH SCOW 8 \d{4}-\d\d-\d\d "scow \d+\.\d+\.\d+" "scow manual"\n/,
  );
});
