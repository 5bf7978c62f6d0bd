import { isValidRuntimeConfig } from '../../../schemas/decide.ts';
import {
  formatViolations,
  type Violation,
  validateRuntimeConfig,
} from '../../../schemas/validate.ts';
import {
  validateDescriptor,
  validateImageConfig,
  validateIndex,
  validateLayout,
  validateManifest,
} from '../../../schemas/validate-image.ts';
import { fullConfig } from '../../helpers/full-config.ts';
import { keysOf, pointersOf, withValue } from '../../helpers/json-edit.ts';

const STRANGE = [
  undefined,
  null,
  true,
  -1,
  1.5,
  Number.POSITIVE_INFINITY,
  2 ** 70,
  -(2n ** 70n),
  '',
  '\0',
  '~1',
  [],
  [null],
  {},
  { '': {} },
  JSON.parse('{"__proto__": 1, "length": -1}'),
];

test('whatever stands anywhere in a configuration, validation reports it and never throws', () => {
  const config = fullConfig();
  const odd: unknown[] = [];
  for (const pointer of pointersOf(config)) {
    for (const strange of STRANGE) {
      const violations = validateRuntimeConfig(withValue(config, pointer, strange));
      if (violations.length === 0) continue;
      formatViolations('config.json', violations);
      if (!violations.every(isClear) || !areOfDifferentPlaces(violations)) odd.push(violations);
    }
  }
  expect(odd).toEqual([]);
});

test('the quick decision is what the explanation says', () => {
  const config = fullConfig();
  const different: unknown[] = [];
  const compare = (value: unknown, what: unknown) => {
    const violations = validateRuntimeConfig(value);
    if (isValidRuntimeConfig(value) !== (violations.length === 0))
      different.push([what, violations]);
  };
  compare(config, 'the whole');
  for (const strange of STRANGE) compare(strange, strange);
  for (const pointer of pointersOf(config)) {
    for (const value of [
      ...STRANGE,
      0,
      1,
      2 ** 53,
      'x',
      '/x',
      '1.0.0',
      'c',
      '0-3',
      ['x'],
      { a: 'b' },
    ])
      compare(withValue(config, pointer, value), [pointer, value]);
  }
  expect(different).toEqual([]);
});

test('a value of another type is refused anywhere in a configuration', () => {
  const config = fullConfig();
  const another = (value: unknown) => {
    if (typeof value === 'string') return 7;
    return Array.isArray(value) ? { a: 1 } : ['x'];
  };
  const taken = [...pointersOf(config)].filter((pointer) => {
    const found = validateRuntimeConfig(
      withValue(config, pointer, another(valueAt(config, pointer))),
    );
    return !found.some((violation) => violation.pointer === pointer);
  });
  expect(taken).toEqual([]);
});

function valueAt(document: unknown, pointer: string): unknown {
  return keysOf(pointer).reduce<unknown>(
    (at, key) => (at as Record<string, unknown>)[key],
    document,
  );
}

function isClear({ found, allowed }: Violation): boolean {
  return found !== '' && allowed !== '' && !/undefined|a value|must match/.test(allowed);
}

function areOfDifferentPlaces(violations: readonly Violation[]): boolean {
  return new Set(violations.map(({ pointer }) => pointer)).size === violations.length;
}

test('documents that are nothing like the specification', () => {
  let deep: unknown = 'x';
  for (let depth = 0; depth < 50_000; depth++) deep = [deep];
  const all = [
    validateRuntimeConfig,
    validateDescriptor,
    validateImageConfig,
    validateIndex,
    validateLayout,
    validateManifest,
  ];
  for (const validate of all) {
    for (const strange of [...STRANGE, deep, { process: deep, config: deep }]) {
      expect(validate(strange).length).toBeGreaterThan(0);
    }
  }
});
