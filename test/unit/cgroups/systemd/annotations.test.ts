import { annotatedProperties } from '../../../../runtime/cgroups/systemd/annotations.ts';
import { parseGVariant } from '../../../../runtime/cgroups/systemd/gvariant.ts';

test.each([
  ['true', 'b', true],
  [' false ', 'b', false],
  ['boolean true', 'b', true],
  ['5', 'i', 5n],
  ['-5', 'i', -5n],
  ['+5', 'i', 5n],
  ['0x1F', 'i', 31n],
  ['-0x10', 'i', -16n],
  ['010', 'i', 8n],
  ['byte 255', 'y', 255n],
  ['int16 -32768', 'n', -32768n],
  ['uint16 65535', 'q', 65535n],
  ['int32 7', 'i', 7n],
  ['uint32 4294967295', 'u', 4294967295n],
  ['int64 -9223372036854775808', 'x', -(2n ** 63n)],
  ['uint64 18446744073709551615', 't', 2n ** 64n - 1n],
  ['@t 7', 't', 7n],
  ['2.5', 'd', 2.5],
  ['1e3', 'd', 1000],
  ['double 3', 'd', 3],
  ["'it'", 's', 'it'],
  ['"it\'s"', 's', "it's"],
  ["'it\\'s \\n \\u00e9\\U0001F600 \\q'", 's', "it's \n é😀 q"],
  ["objectpath '/a/b'", 'o', '/a/b'],
  ["@g 'a(ss)'", 'g', 'a(ss)'],
  ["['a', 'b']", 'as', ['a', 'b']],
  ["['a',]", 'as', ['a']],
  ['@as []', 'as', []],
  ['[uint32 1, 2]', 'au', [1n, 2n]],
  ['@au [1, 2]', 'au', [1n, 2n]],
  ["[['a'], @as []]", 'aas', [['a'], []]],
  ["b'ab'", 'ay', Buffer.from('ab\0')],
  ["('a', true)", '(sb)', ['a', true]],
  ["[('/dev/null', 'rw')]", 'a(ss)', [['/dev/null', 'rw']]],
  ["@a(st) [('/dev/sda', 5)]", 'a(st)', [['/dev/sda', 5n]]],
  ['<uint64 5>', 'v', { signature: 't', value: 5n }],
])('%s is of type %s', (text, signature, value) => {
  expect(parseGVariant(text)).toEqual({ signature, value });
});

test.each([
  ['', 'the text ends where a value should be'],
  ['word', 'there is "word" where a value should be'],
  ['uint32 -1', '-1 is no uint32'],
  ['2147483648', '2147483648 is no int32'],
  ['uint64 1.5', '1.5 is no uint64'],
  ['08', '08 is no int32'],
  ['5x', 'there is "x" where the end of a number should be'],
  ["'a", 'a quotation mark is missing'],
  ["'a' 'b'", 'there is "\'b\'" where the end should be'],
  ["['a', 5]", '5 is no string'],
  ["['a' 'b']", 'there is "\'b\']" where "," should be'],
  ["['a'", 'the text ends where "," should be'],
  ['[]', 'an empty list needs its type, as in @as []'],
  ['@ss "a"', '@ss is not one type'],
  ['@z 5', 'D-Bus has no type "z"'],
  ['@as 5', '5 is no @as'],
  ['string true', 'there is a value of type boolean where string should be'],
  ['[true, uint32 5]', 'there is a value of type uint32 where boolean should be'],
])('%s is refused', (text, why) => {
  expect(() => parseGVariant(text)).toThrow(new Error(why));
});

test('annotations with the prefix are properties, seconds become microseconds', () => {
  expect(
    annotatedProperties({
      'org.systemd.property.CollectMode': "'inactive-or-failed'",
      'org.systemd.property.TimeoutStopSec': '7',
      'org.systemd.property.RuntimeMaxSec': 'uint64 18446744073709',
      'org.systemd.property.JobTimeoutSec': '1.5',
      'org.systemd.property.TimeoutStopUSec': 'uint64 5',
      'org.example.other': 'anything',
    }),
  ).toEqual([
    ['CollectMode', { signature: 's', value: 'inactive-or-failed' }],
    ['TimeoutStopUSec', { signature: 't', value: 7000000n }],
    ['RuntimeMaxUSec', { signature: 't', value: 18446744073709000000n }],
    ['JobTimeoutUSec', { signature: 't', value: 1500000n }],
    ['TimeoutStopUSec', { signature: 't', value: 5n }],
  ]);
});

test.each([
  ['AB', "'x'", 'its name is of three letters or more'],
  ['A_b', "'x'", 'its name is of three letters or more'],
  ['TimeoutStopSec', "'7'", 'give a number of seconds'],
  ['TimeoutStopSec', '-7', 'give a number of seconds'],
  ['TimeoutStopSec', 'true', 'give a number of seconds'],
  ['TimeoutStopSec', 'uint64 18446744073710', 'it is more than 64 bits hold'],
])('%s %s is refused with its place', (name, value, why) => {
  const key = `org.systemd.property.${name}`;
  expect(() => annotatedProperties({ [key]: value })).toThrow(
    `the annotation ${key} is no property of a systemd unit: ${JSON.stringify(value)}: ${why}  [/annotations/${key}]`,
  );
});
