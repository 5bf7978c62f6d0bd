import {
  formatPlatform,
  parsePlatform,
  platformDistance,
} from '../../../../bundle/image/platform.ts';

test.each([
  ['linux/amd64', 'linux/amd64'],
  ['linux/x86_64', 'linux/amd64'],
  ['Linux/AARCH64', 'linux/arm64'],
  ['linux/armhf', 'linux/arm/v7'],
  ['linux/arm/V6', 'linux/arm/v6'],
])('%s means %s', (text, expected) => {
  expect(formatPlatform(parsePlatform(text))).toBe(expected);
});

test.each(['linux', 'linux/', '/amd64', 'linux/arm/v7/x', ''])('%p is refused', (text) => {
  expect(() => parsePlatform(text)).toThrow('want OS/ARCH or OS/ARCH/VARIANT');
});

test.each([
  ['linux/amd64', 'linux/amd64', 0],
  ['linux/amd64', 'linux/amd64/v1', 0],
  ['linux/amd64', 'linux/amd64/v2', undefined],
  ['linux/amd64/v3', 'linux/amd64', 2],
  ['linux/amd64/v3', 'linux/amd64/v2', 1],
  ['linux/amd64/v2', 'linux/amd64/v3', undefined],
  ['linux/arm64', 'linux/arm64/v8', 0],
  ['linux/arm64/v8', 'linux/arm64', 0],
  ['linux/arm/v7', 'linux/arm/v6', 1],
  ['linux/arm', 'linux/arm/v7', 0],
  ['linux/arm/v6', 'linux/arm/v7', undefined],
  ['linux/ppc64le', 'linux/ppc64le/power9', 0],
  ['linux/ppc64le/power8', 'linux/ppc64le/power9', undefined],
  ['linux/amd64', 'linux/arm64', undefined],
  ['linux/amd64', 'windows/amd64', undefined],
])('for %s, %s has distance %p', (wanted, offered, expected) => {
  expect(platformDistance(parsePlatform(wanted), parsePlatform(offered))).toBe(expected);
});
