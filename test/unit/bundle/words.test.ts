import { splitLine } from '../../../bundle/cli/words.ts';

test('global flags may come before the command', () => {
  expect(splitLine(['--store', 'unpack', 'unpack', 'x'])).toMatchObject({ verb: 'unpack' });
  expect(splitLine(['--store=a', 'unpack']).verb).toBe('unpack');
  expect(splitLine(['--version']).verb).toBeUndefined();
});

test('without a command that runs a program all words are ours', () => {
  const words = ['unpack', '--image', 'a', 'b', '-x'];
  expect(splitLine(words)).toEqual({ verb: 'unpack', words, rest: [] });
});
