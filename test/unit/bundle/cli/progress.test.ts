import { bar, size } from '../../../../bundle/cli/progress.ts';

const plan = (bytes: number) => ({
  manifest: '',
  config: '',
  platform: '',
  layers: [
    { digest: '', size: 0 },
    { digest: '', size: bytes },
  ],
  bytes,
});

test('the bar shows the layer, the share and the bytes', () => {
  expect(bar(plan(20 * 2 ** 20), 1, 5 * 2 ** 20, 90)).toBe(
    `layer 2 of 2 [${'#'.repeat(10)}${'.'.repeat(30)}]  25%  5.0 MiB of 20.0 MiB`,
  );
  expect(bar(plan(1000), 0, 1000, 90)).toBe(
    `layer 1 of 2 [${'#'.repeat(40)}] 100%  1000 B of 1000 B`,
  );
  expect(bar(plan(0), 1, 0, 80)).toMatch(/100% {2}0 B of 0 B$/);
});

test('the bar fits into any terminal', () => {
  for (let width = 1; width < 120; width++)
    expect(bar(plan(12345678), 0, 1234567, width).length).toBeLessThan(Math.max(width, 2));
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
