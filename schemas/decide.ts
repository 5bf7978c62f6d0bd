/**
 * Whether a `config.json` is valid, and nothing else: for the start of each container, where
 * nearly all are. Why one is not tells validate.ts, which is ten times as large.
 */

import { checkRules } from './rules.ts';
import type { RuntimeConfig } from './runtime-config.ts';
import { isRuntimeConfig } from './validators/is-runtime-config.ts';

/**
 * Decides what `validateRuntimeConfig` explains.
 *
 * @param value the parsed file (see `parseJson`)
 * @returns true where there would be no violation
 */
export function isValidRuntimeConfig(value: unknown): value is RuntimeConfig {
  return isRuntimeConfig(value) && checkRules(value, []).length === 0;
}
