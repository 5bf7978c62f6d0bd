/** Rules of device nodes. */

import type { Device, RuntimeConfig } from '../runtime-config.ts';
import { pointerTo, render } from '../violation.ts';
import type { Report, Rule } from './rule.ts';

export const DEVICE_RULES: readonly Rule[] = [
  { about: ['linux', 'devices'], check: pathsNameAnEntry },
  { about: ['linux', 'devices'], check: onePathOneDevice },
  { about: ['linux', 'devices'], check: modesFitTypes },
];

/** A node is made in a directory, under a name. */
function pathsNameAnEntry(config: RuntimeConfig, report: Report): void {
  for (const [index, { path }] of (config.linux?.devices ?? []).entries()) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (name !== '' && name !== '.' && name !== '..') continue;
    report({
      pointer: pointerTo('linux', 'devices', index, 'path'),
      found: render(path),
      allowed: 'an absolute path that ends with the name of the device',
    });
  }
}

/** config-linux.md: what is there must match. The same device once more does no harm. */
function onePathOneDevice(config: RuntimeConfig, report: Report): void {
  const seen = new Map<string, Device>();
  for (const [index, device] of (config.linux?.devices ?? []).entries()) {
    const before = seen.get(device.path);
    seen.set(device.path, device);
    if (before === undefined || whatIs(before) === whatIs(device)) continue;
    report({
      pointer: pointerTo('linux', 'devices', index, 'path'),
      found: `${render(device.path)} once more`,
      allowed: 'each path once, or always for the same device',
    });
  }
}

function whatIs({ type, major = 0, minor = 0 }: Device): string {
  return `${type === 'u' ? 'c' : type} ${major}:${minor}`;
}

/** inode(7): the type of a file, as stat(2) has it together with the permissions. */
const TYPES: Readonly<Record<Device['type'], number>> = {
  c: 0o020000,
  u: 0o020000,
  b: 0o060000,
  p: 0o010000,
};

/** Engines take the mode from stat(2), and some leave the type in it. */
function modesFitTypes(config: RuntimeConfig, report: Report): void {
  for (const [index, { type, fileMode = 0 }] of (config.linux?.devices ?? []).entries()) {
    if (fileMode <= 0o7777 || (fileMode & ~0o7777) === TYPES[type]) continue;
    report({
      pointer: pointerTo('linux', 'devices', index, 'fileMode'),
      found: render(fileMode),
      allowed: 'an integer up to 4095 (07777; the file has it in decimal)',
    });
  }
}
