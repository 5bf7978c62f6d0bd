/** Rules of the process, and of strings that reach the kernel. */

import type { RuntimeConfig } from '../runtime-config.ts';
import { pointerTo, render } from '../violation.ts';
import type { Report, Rule } from './rule.ts';

export const PROCESS_RULES: readonly Rule[] = [
  { about: ['process', 'rlimits'], check: rlimits },
  { check: stringsEndAtNul },
];

/** config.md: each resource is limited once. setrlimit(2): the soft limit is within the hard one. */
function rlimits(config: RuntimeConfig, report: Report): void {
  const seen = new Set<string>();
  for (const [index, { type, soft, hard }] of (config.process?.rlimits ?? []).entries()) {
    if (seen.has(type)) {
      report({
        pointer: pointerTo('process', 'rlimits', index, 'type'),
        found: `${render(type)} once more`,
        allowed: 'each type once',
      });
    }
    seen.add(type);
    if (soft > hard) {
      report({
        pointer: pointerTo('process', 'rlimits', index, 'soft'),
        found: render(soft),
        allowed: `an integer up to the hard limit, ${hard}`,
      });
    }
  }
}

/** A value of the document and where it is. */
interface Place {
  readonly value: unknown;
  readonly key: string;
  readonly parent: Place | undefined;
}

/**
 * The kernel reads a string up to its first NUL: what was checked and what is used would differ.
 */
function stringsEndAtNul(config: RuntimeConfig, report: Report): void {
  const { root, process, hostname, domainname, mounts, hooks, linux } = config;
  const parts = { root, process, hostname, domainname, mounts, hooks, linux };
  const open: Place[] = [{ value: parts, key: '', parent: undefined }];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { value } = place;
    if (typeof value === 'object' && value !== null) {
      for (const key of Object.keys(value)) {
        open.push({ value: (value as Record<string, unknown>)[key], key, parent: place });
      }
    } else if (typeof value === 'string' && value.includes('\0')) {
      const allowed = 'a string without NUL characters';
      report({ pointer: pointerOf(place), found: render(value), allowed });
    }
  }
}

/** Pointers are only made for what is wrong: this walk is a part of every start. */
function pointerOf({ key, parent }: Place): string {
  return parent === undefined ? '' : pointerOf(parent) + pointerTo(key);
}
