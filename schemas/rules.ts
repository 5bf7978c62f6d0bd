/**
 * What the runtime specification and the kernel demand of a `config.json` beyond what a schema can
 * say: how its parts fit together. Nothing here looks at the host.
 */

import { DEVICE_RULES } from './rules/devices.ts';
import { LINUX_RULES } from './rules/linux.ts';
import { MOUNT_RULES } from './rules/mounts.ts';
import { NAMESPACE_RULES } from './rules/namespaces.ts';
import { PROCESS_RULES } from './rules/process.ts';
import type { Report, Rule } from './rules/rule.ts';
import { SCHEDULING_RULES } from './rules/scheduling.ts';
import { SECCOMP_RULES } from './rules/seccomp.ts';
import type { RuntimeConfig } from './runtime-config.ts';
import type { Violation } from './violation.ts';

const RULES: readonly Rule[] = [
  ...PROCESS_RULES,
  ...SCHEDULING_RULES,
  ...NAMESPACE_RULES,
  ...MOUNT_RULES,
  ...LINUX_RULES,
  ...DEVICE_RULES,
  ...SECCOMP_RULES,
];

/**
 * Checks the rules whose parts of the document have the right form.
 *
 * @param value the document
 * @param broken what the schema found: rules that read such a place are left out, for what they
 *   would say could be wrong
 * @returns the violations of the rules
 */
export function checkRules(value: unknown, broken: readonly Violation[]): Violation[] {
  if (broken.some(({ pointer }) => pointer === '')) return [];
  const violations: Violation[] = [];
  const report: Report = (violation) => violations.push(violation);
  for (const { about, reads = [], check } of RULES) {
    if (about !== undefined && !has(value, about)) continue;
    const places = about === undefined ? reads : [`/${about.join('/')}`, ...reads];
    if (!broken.some(({ pointer }) => places.some((place) => touches(pointer, place))))
      check(value as RuntimeConfig, report);
  }
  return violations;
}

/** Whether a document has something at a place. */
function has(document: unknown, place: readonly string[]): boolean {
  let at = document as Record<string, unknown> | undefined | null;
  for (const key of place) at = at?.[key] as typeof at;
  return at !== undefined;
}

/** Whether one of the two places contains the other. */
function touches(place: string, other: string): boolean {
  return `${place}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${place}/`);
}
