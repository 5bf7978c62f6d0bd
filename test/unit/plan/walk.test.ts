import { count, flatten, kindsOf, stepAt } from '../../../runtime/plan/walk.ts';
import { defaultConfig } from '../../../schemas/default-config.ts';
import { fullConfig } from '../../helpers/full-config.ts';
import { planOf, show, stepsOf } from '../../helpers/plans.ts';

describe.each([
  ['the default configuration', defaultConfig()],
  ['one with everything', fullConfig()],
])('of %s', (_, config) => {
  const { steps } = planOf(config);
  const all = flatten(steps);

  test('each number leads to its step, and there are no others', () => {
    const plain = (step: (typeof all)[number] | undefined) =>
      step && [show(step), step.pointer, step.why];
    expect(count(steps)).toBe(all.length);
    for (const [i, step] of all.entries()) expect(plain(stepAt(steps, i + 1))).toEqual(plain(step));
    expect(stepAt(steps, 0)).toBeUndefined();
    expect(stepAt(steps, all.length + 1)).toBeUndefined();
  });

  test('the kinds are those of all steps', () => {
    expect([...kindsOf(steps)].toSorted()).toEqual(
      [...new Set(all.map(({ kind }) => kind))].toSorted(),
    );
  });
});

test('a loop at the beginning has no step before it', () => {
  const origin = { pointer: '/a', why: 'a' };
  const loop = {
    kind: 'each',
    as: 'x',
    values: [1],
    of: [],
    origin: () => origin,
    ...origin,
  } as const;
  expect(stepAt([loop], 0)).toBeUndefined();
  expect(stepAt([loop], 1)).toBe(loop);
});

test('what is done for each value says for which', () => {
  const config = defaultConfig();
  const linux = { ...config.linux, maskedPaths: ['/a', '/b/', '/a', '/c'] };
  const hidden = (index: number) =>
    stepsOf({ ...config, linux }, `/linux/maskedPaths/${index}`).filter((text) =>
      text.startsWith('openat2'),
    );
  expect(hidden(1)).toEqual([
    expect.stringMatching(/^openat2\(root, "b", /),
    expect.stringMatching(/^openat2\(root, "b", /),
  ]);
  expect(hidden(2)).toEqual([]);
  expect(hidden(3)).toHaveLength(2);
});
