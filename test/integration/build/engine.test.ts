import { execFileSync } from 'node:child_process';

/** What a huge page has on x86-64, bytes. */
const HUGE = 0x200000;

test("a huge page can map the engine's file: offsets and addresses have the same remainder", () => {
  const headers = execFileSync('readelf', ['--segments', '--wide', 'build/scow-engine'], {
    encoding: 'utf8',
  });
  const loaded = [...headers.matchAll(/^ +LOAD +(0x\w+) (0x\w+) /gm)].map(([, offset, address]) =>
    [offset, address].map(Number),
  ) as [number, number][];
  expect(loaded.length).toBeGreaterThanOrEqual(3);
  for (const [offset, address] of loaded) expect(offset % HUGE).toBe(address % HUGE);
});

test('sections are where their segments are', () => {
  const sections = execFileSync('readelf', ['--sections', '--wide', 'build/scow-engine'], {
    encoding: 'utf8',
  });
  const loaded = [
    ...sections.matchAll(/(?:PROGBITS|DYNAMIC|INIT_ARRAY) +(\w{16}) (\w+) \w+ \w+ +\w*A/g),
  ].map(([, address, offset]) => [`0x${address}`, `0x${offset}`].map(Number)) as [number, number][];
  expect(loaded.length).toBeGreaterThan(10);
  for (const [address, offset] of loaded) expect(offset % HUGE).toBe(address % HUGE);
});
