import { bar, size } from '../../../../bundle/cli/progress.ts';

test('the bar shows the layer, the share and the bytes', () => {
  expect(bar('layer 2 of 2', 5 * 2 ** 20, 20 * 2 ** 20, 90)).toBe(
    `layer 2 of 2 [${'#'.repeat(10)}${'.'.repeat(30)}]  25%  5.0 MiB of 20.0 MiB`,
  );
  expect(bar('layer 1 of 2', 1000, 1000, 90)).toBe(
    `layer 1 of 2 [${'#'.repeat(40)}] 100%  1000 B of 1000 B`,
  );
  expect(bar('layer 2 of 2', 0, 0, 80)).toMatch(/100% {2}0 B of 0 B$/);
});

test('the bar fits into any terminal', () => {
  for (let width = 1; width < 120; width++)
    expect(bar('layer 1 of 2', 1234567, 12345678, width).length).toBeLessThan(Math.max(width, 2));
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1.5 * 2 ** 30, '1.5 GiB'],
  [2 ** 52, '4096.0 TiB'],
])('%p bytes are %s', (bytes, text) => {
  expect(size(bytes)).toBe(text);
});
