import { formatViolations, parseJson } from '../../../schemas/validate.ts';

test.each([
  ['', 'the file is empty; it must hold a JSON object'],
  [' \n\t', 'the file is empty; it must hold a JSON object'],
  ['\ufeff', 'the file is empty; it must hold a JSON object'],
  ['null', 'the file holds null; it must hold a JSON object'],
  ['[{}]', 'the file holds an array; it must hold a JSON object'],
  ['"x"', 'the file holds a string; it must hold a JSON object'],
  ['12345678901234567890', 'the file holds a bigint; it must hold a JSON object'],
  ['{', 'not JSON: line 1, column 2: the file ends where a name in double quotes must follow'],
  ['{"a": 1,\n}', 'not JSON: line 2, column 1: a "," with nothing after it'],
  ['{"a": [1,]}', 'not JSON: line 1, column 10: a "," with nothing after it'],
  ['{\n  "a": 1\n  "b": 2\n}', 'not JSON: line 3, column 3: "\\"" where "," or "}" must be'],
  ['{"a" 1}', 'not JSON: line 1, column 6: "1" where ":" must be'],
  ['{a: 1}', 'not JSON: line 1, column 2: "a" where a name in double quotes must be'],
  ["{'a': 1}", 'not JSON: line 1, column 2: "\'a\'" where a name in double quotes must be'],
  ['{"a": True}', 'not JSON: line 1, column 7: "True" where a value must be'],
  ['{"a": 01}', 'not JSON: line 1, column 8: "1" where "," or "}" must be'],
  ['{"a": 0777}', 'not JSON: line 1, column 8: "777" where "," or "}" must be'],
  ['{"a": .5}', 'not JSON: line 1, column 7: ".5" where a value must be'],
  ['{"a": NaN}', 'not JSON: line 1, column 7: "NaN" where a value must be'],
  ['{"a": 1} // end', 'not JSON: line 1, column 10: "//" where the end of the file must be'],
  [
    '{"a": "\ud83d\ude80", x}',
    'not JSON: line 1, column 13: "x" where a name in double quotes must be',
  ],
  ['{"a":\u001b[31m}', 'not JSON: line 1, column 6: "\\u001b" where a value must be'],
])('%j is refused', (text, message) => {
  expect(() => parseJson(text, 'b/config.json')).toThrow(new Error(`b/config.json: ${message}`));
});

test.each(['"a\nb"', '"\\x"', '"\\u12"', '"never ends'])('the string %j is refused', (string) => {
  expect(() => parseJson(`{"a": ${string}}`, 'f')).toThrow(
    /^f: not JSON: line 1, column 7: a string that /,
  );
});

test('nesting without end is refused, not followed', () => {
  expect(() => parseJson(`{"a": ${'['.repeat(1_000_000)}`, 'f')).toThrow(
    'f: not JSON: line 1, column 1006: more than 1000 arrays and objects within each other',
  );
});

const TEXTS = [
  '{}',
  '\ufeff{"a": 1}',
  ' {"a" : [ ] , "b":{ },"c":[1 ,-2.5e+3, 0.1E-2,true,false , null]}\r\n',
  '{"a": "\\u00e9\\ud83d\\ude80\\n\\"\\\\\\/", "é": "\u2028"}',
  '{"a": 1, "a": 2}',
  '{"__proto__": {"x": 1}, "constructor": 1}',
];

test.each(TEXTS)('%j is read as JSON.parse reads it', (text) => {
  const expected = JSON.parse(text.replace('\ufeff', ''));
  expect(parseJson(text, 'f')).toEqual(expected);
  // An integer beyond 2^53 takes the way through the project's own parser.
  const long = text.replace(/\}\s*$/, `${text.includes('"') ? ',' : ''}"long": 9007199254740993}`);
  expect(parseJson(long, 'f')).toEqual({ ...expected, long: 9007199254740993n });
  expect(Object.getPrototypeOf(parseJson(long, 'f'))).toBe(Object.prototype);
});

test('integers keep all their digits', () => {
  const text =
    '{"a": [18446744073709551615, -9223372036854775808, 9007199254740991, 9007199254740992, 1e20, 1234567890123456.5, -0]}';
  expect(parseJson(text, 'f')).toEqual({
    a: [
      18446744073709551615n,
      -9223372036854775808n,
      9007199254740991,
      9007199254740992n,
      1e20,
      1234567890123456.5,
      -0,
    ],
  });
});

test('one violation makes one line', () => {
  const violation = { pointer: '/a/b', found: 'missing', allowed: 'a string' };
  expect(formatViolations('config.json', [violation])).toBe(
    'config.json: /a/b: missing; allowed: a string',
  );
});

test('more make a line each below a line with their number', () => {
  const violations = [
    { pointer: '/a', found: '1', allowed: 'a string' },
    { pointer: '', found: 'null', allowed: 'an object' },
  ];
  expect(formatViolations('config.json', violations)).toBe(
    'config.json: 2 mistakes\n  /a: 1; allowed: a string\n  the document: null; allowed: an object',
  );
});

test('names from the document can neither add lines nor steer a terminal', () => {
  const violations = [{ pointer: '/a\nb\u001b[2J\u2028', found: '\u009b', allowed: 'x' }];
  expect(formatViolations('f', violations)).toBe(
    'f: /a\\u000ab\\u001b[2J\\u2028: \\u009b; allowed: x',
  );
});
