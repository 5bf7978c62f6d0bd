import { posix } from 'node:path';
import { basename, dirname, join, relative, resolve } from '../../../runtime/linux/path.ts';

const PIECES = ['', '/', '.', '..', 'a', 'b/', '/c', './d', '../e', 'f//g', '/../h', 'i/..', '///'];
const PATHS = PIECES.flatMap((first) => PIECES.map((second) => `${first}${second}`));

test('basename is that of node:path', () => {
  expect(PATHS.map((path) => [path, basename(path)])).toEqual(
    PATHS.map((path) => [path, posix.basename(path)]),
  );
});

test('dirname is that of node:path, without slashes at its end', () => {
  const bare = (path: string) => path.replace(/(.)\/+$/, '$1');
  expect(PATHS.map((path) => [path, dirname(path)])).toEqual(
    PATHS.map((path) => [path, bare(posix.dirname(path))]),
  );
});

test('relative is that of node:path', () => {
  const pairs = PATHS.flatMap((from) => PIECES.map((to) => [from, to] as const));
  expect(pairs.map(([from, to]) => [from, to, relative(from, to)])).toEqual(
    pairs.map(([from, to]) => [from, to, posix.relative(from, to)]),
  );
});

test.each([
  ['join', join, posix.join],
  ['resolve', resolve, posix.resolve],
] as const)('%s is that of node:path', (_name, own, theirs) => {
  const pairs = PATHS.flatMap((first) => PIECES.map((second) => [first, second] as const));
  expect(pairs.map((pair) => [pair, own(...pair)])).toEqual(
    pairs.map((pair) => [pair, theirs(...pair)]),
  );
  expect(own()).toBe(theirs());
});
