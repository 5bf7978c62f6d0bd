/**
 * Validation of `config.json`. (Images have validate-image.ts: each program loads only what it
 * needs, for loading the compiled schemas is a part of every start.)
 */

import { check } from './report.ts';
import { checkRules } from './rules.ts';
import { runtimeConfig } from './validators/runtime.ts';
import { onePerPlace, type Violation } from './violation.ts';

export { parseJson } from './parse-json.ts';
export { formatViolations, type Violation } from './violation.ts';

/**
 * Checks the content of a `config.json` against the runtime specification, as far as that is
 * possible without looking at the host.
 *
 * @param value the parsed file (see `parseJson`)
 * @returns every violation; if there is none, the value is a `RuntimeConfig`
 */
export function validateRuntimeConfig(value: unknown): Violation[] {
  const violations = check(runtimeConfig, value);
  return onePerPlace([...violations, ...checkRules(value, violations)]);
}
