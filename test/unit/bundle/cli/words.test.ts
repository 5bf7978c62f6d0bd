import { splitLine } from '../../../../bundle/cli/words.ts';

test('global flags may come before the command', () => {
  expect(splitLine(['--store', 'unpack', 'unpack', 'x'])).toMatchObject({ verb: 'unpack' });
  expect(splitLine(['--store=a', 'unpack']).verb).toBe('unpack');
  expect(splitLine(['--version']).verb).toBeUndefined();
});

test('without a command that runs a program all words are ours', () => {
  const words = ['unpack', '--image', 'a', 'b', '-x'];
  expect(splitLine(words)).toEqual({ verb: 'unpack', words, rest: [] });
});

test('the value of a short flag may be in one word with it', () => {
  const line = ['run', '-itw/tmp', '-eA=-e1', '-p=80', '-v', '-e1', 'image', '-eB=1'];
  expect(splitLine(line)).toEqual({
    verb: 'run',
    words: ['run', '-itw', '/tmp', '-e', 'A=-e1', '-p=80', '-v', '-e1', 'image'],
    rest: ['-eB=1'],
  });
  expect(splitLine(['commit', '-mwhy', 'a', '--', '-mb']).words).toEqual([
    'commit',
    '-m',
    'why',
    'a',
    '--',
    '-mb',
  ]);
  expect(splitLine(['commit', '-x1', '-']).words).toEqual(['commit', '-x1', '-']);
});
