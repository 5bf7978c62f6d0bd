import { maskOf } from '../../../runtime/plan/number-list.ts';

test.each([
  ['', []],
  ['0', [0]],
  ['7', [7]],
  ['0-3,7', [0, 1, 2, 3, 7]],
  [' 1 , 63-65 ', [1, 63, 64, 65]],
  ['0-10:2/4', [0, 1, 4, 5, 8, 9]],
  ['8191', [8191]],
])('the mask of %j', (list, numbers) => {
  const mask = maskOf(list);
  const found = [...mask].flatMap((byte, i) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => byte & (1 << bit)).map((bit) => 8 * i + bit),
  );
  expect(found).toEqual(numbers);
  expect(mask.length % 8).toBe(0);
});
