import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findTagged, parseImageReference, tagsOf } from '../../../../bundle/image/reference.ts';
import type { Descriptor, Index } from '../../../../schemas/image.ts';
import { digestOf, MEDIA, tagged } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-test.ts';

test.each([
  ['layout', { layout: 'layout' }],
  ['layout:1.0', { layout: 'layout', tag: '1.0' }],
  ['layout:repo/name:1.0', { layout: 'layout', tag: 'repo/name:1.0' }],
])('%s', (text, expected) => {
  expect(parseImageReference(text)).toEqual(expected);
});

test('a layout whose name has a colon is found', () => {
  mkdirSync(join(home, 'a:b'));
  expect(parseImageReference(join(home, 'a:b'))).toEqual({ layout: join(home, 'a:b') });
  expect(parseImageReference(join(home, 'a:b:c:d'))).toEqual({
    layout: join(home, 'a:b'),
    tag: 'c:d',
  });
});

test.each(['', ':tag', 'layout:'])('%p is refused', (text) => {
  expect(() => parseImageReference(text)).toThrow('want LAYOUT or LAYOUT:TAG');
});

const one: Descriptor = { mediaType: MEDIA.manifest, digest: digestOf(Buffer.from('1')), size: 1 };
const two: Descriptor = { ...one, digest: digestOf(Buffer.from('2')) };
const indexOf = (...manifests: Descriptor[]): Index => ({ schemaVersion: 2, manifests });
const layout = 'layout';

test('a tag names its entry; without a tag it is latest', () => {
  const index = indexOf(tagged(one, '1.0'), tagged(two, 'latest'));
  expect(tagsOf(index)).toEqual(['1.0', 'latest']);
  expect(findTagged(index, { layout, tag: '1.0' })).toMatchObject(one);
  expect(findTagged(index, { layout })).toMatchObject(two);
});

test('without a tag the only image is meant, whatever its tag', () => {
  expect(findTagged(indexOf(one), { layout })).toBe(one);
  expect(findTagged(indexOf(tagged(one, 'x')), { layout })).toMatchObject(one);
});

test('several entries without any tag are the platforms of one image', () => {
  const index = indexOf(one, two);
  expect(findTagged(index, { layout })).toBe(index);
});

test('the same image twice under one tag is no ambiguity, two images are', () => {
  expect(
    findTagged(indexOf(tagged(one, 'x'), tagged(one, 'x')), { layout, tag: 'x' }),
  ).toMatchObject(one);
  const ambiguous = indexOf(tagged(one, 'x'), tagged(two, 'x'));
  expect(() => findTagged(ambiguous, { layout, tag: 'x' })).toThrow(
    `layout: the tag x is ambiguous: 2 entries of index.json have it (${one.digest}, ${two.digest})`,
  );
});

test('a tag that does not exist is answered with those that do', () => {
  const index = indexOf(tagged(one, 'b'), tagged(two, 'a'));
  expect(() => findTagged(index, { layout, tag: 'c' })).toThrow(
    'layout has no tag "c"; it has a, b',
  );
  expect(() => findTagged(index, { layout })).toThrow('layout has no tag "latest"; it has a, b');
  expect(() => findTagged(indexOf(one), { layout, tag: 'c' })).toThrow(
    'layout has no tag "c"; none of its images has a tag',
  );
  expect(() => findTagged(indexOf(), { layout })).toThrow(
    'layout holds no image: its index.json is empty',
  );
});
