import { validateRuntimeConfig } from '../../../../schemas/validate.ts';
import { fullConfig } from '../../../helpers/full-config.ts';
import { withValue } from '../../../helpers/json-edit.ts';

/** A change of the full configuration. */
export type Edit = readonly [pointer: string, value: unknown];

/** What the validator says of the full configuration after some changes. */
export function violationsAfter(...edits: readonly Edit[]) {
  const config = edits.reduce<unknown>((at, edit) => withValue(at, ...edit), fullConfig());
  return validateRuntimeConfig(config);
}

/** Tests that these changes break one rule each. */
export function refused(
  cases: readonly [
    rule: string,
    edits: readonly Edit[],
    pointer: string,
    found: string,
    allowed: string,
  ][],
): void {
  test.each(cases)('%s', (_rule, edits, pointer, found, wanted) => {
    expect(violationsAfter(...edits)).toEqual([{ pointer, found, allowed: wanted }]);
  });
}

/** Tests that these changes break none. */
export function allowed(cases: readonly [what: string, edits: readonly Edit[]][]): void {
  test.each(cases)('%s: allowed', (_what, edits) => {
    expect(violationsAfter(...edits)).toEqual([]);
  });
}
