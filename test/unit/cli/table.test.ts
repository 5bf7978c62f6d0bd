import { readFileSync } from 'node:fs';
import { COMMANDS, NOT_YET } from '../../../runtime/cli/table.ts';
import { VERSION } from '../../../schemas/version.ts';

test('the version is that of the package', () => {
  expect(VERSION).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version);
});

test.each(COMMANDS)('$name has a file that runs it', async ({ load }) => {
  expect(typeof (await load()).run).toBe('function');
});

test('a command is either there or said to be missing', () => {
  const names = COMMANDS.map(({ name }) => name);
  expect(NOT_YET.filter((name) => names.includes(name))).toEqual([]);
});
