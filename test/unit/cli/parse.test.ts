import type { Flag } from '../../../runtime/cli/flag.ts';
import { parse } from '../../../runtime/cli/parse.ts';

const FLAGS: readonly Flag[] = [
  { name: 'bundle', short: 'b', value: 'DIR', about: '' },
  { name: 'detach', short: 'd', about: '' },
  { name: 'keep', short: 'k', about: '' },
  { name: 'format', short: 'f', value: 'FORMAT', about: '', choices: ['table', 'json'] },
  { name: 'preserve-fds', value: 'N', about: '' },
];

function parsed(line: string, flagsFirst = false) {
  const { flags, rest } = parse(line.split(' '), FLAGS, { flagsFirst });
  return {
    bundle: flags.text('bundle'),
    detach: flags.has('detach'),
    keep: flags.has('keep'),
    rest: rest.join(' '),
  };
}

describe('every way in which engines spell flags', () => {
  test.each([
    '--bundle /b --detach id',
    '--bundle=/b -d id',
    '-b /b -d id',
    '-b=/b --detach=true id',
    '-bundle /b -detach id',
    '-bundle=/b -detach=1 id',
    'id --bundle /b --detach',
    '--detach id -b /b',
    '--detach --bundle /x --bundle /b id',
    '--detach --bundle /b -- id',
    '--detach --keep=F --bundle /b id',
    '--detach=false --detach --keep --keep=false --bundle /b id',
  ])('%s', (line) => {
    expect(parsed(line)).toEqual({ bundle: '/b', detach: true, keep: false, rest: 'id' });
  });

  test('switches in one word', () => {
    expect(parsed('-dk id')).toEqual({ bundle: undefined, detach: true, keep: true, rest: 'id' });
  });

  test('a value may look like a flag', () => {
    expect(parsed('--bundle -d id')).toMatchObject({ bundle: '-d', detach: false });
  });

  test('an empty value is like none', () => {
    const { flags } = parse(['--bundle', '', 'id'], FLAGS, { flagsFirst: false });
    expect(flags.text('bundle')).toBeUndefined();
  });

  test('after -- nothing is a flag', () => {
    expect(parsed('-d -- id -k --bundle')).toMatchObject({ keep: false, rest: 'id -k --bundle' });
  });

  test('where flags come first, those after the command are not touched', () => {
    expect(parsed('-d run -b /b id', true)).toMatchObject({
      bundle: undefined,
      detach: true,
      rest: 'run -b /b id',
    });
  });
});

describe('what is wrong is said', () => {
  test.each([
    ['--bogus id', "unknown option '--bogus'"],
    ['-bogus=1 id', "unknown option '--bogus'"],
    ['-dx id', "unknown option '--dx'"],
    ['id --bundle', "option '-b, --bundle <value>' argument missing"],
    ['--detach=maybe id', "option '-d, --detach' does not take an argument"],
    ['--format yaml id', '--format yaml: give one of table, json'],
  ])('%s', (line, message) => {
    expect(() => parsed(line)).toThrow(message);
  });

  test.each(['-1', 'x', '1.5', '99999999999'])('%s is no count', (text) => {
    const { flags } = parse([`--preserve-fds=${text}`], FLAGS, { flagsFirst: false });
    expect(() => flags.count('preserve-fds')).toThrow(
      `--preserve-fds ${text}: give a number from 0 up`,
    );
  });
});
