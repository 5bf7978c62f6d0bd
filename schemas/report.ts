/** Turns what a compiled schema reports into violations. */

import { onePerPlace, pointerTo, render, type Violation } from './violation.ts';

/** The part of a schema that a message draws on. */
interface Words {
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Words>>;
  readonly propertyNames?: Words;
}

/** An error as a compiled schema reports it, with the value and the schema that it broke. */
interface SchemaError {
  readonly instancePath: string;
  readonly keyword: string;
  readonly params: Readonly<Record<string, string>>;
  readonly parentSchema: Words;
  readonly data: unknown;
  /** Set where the name of a property, not its value, was looked at. */
  readonly propertyName?: string;
}

/** A validator that scripts/validators.mjs compiled. */
export interface CompiledSchema {
  (value: unknown): boolean;
  readonly errors?: readonly SchemaError[] | null;
}

/** Longer enumerations aren't listed when a misspelt name has a near one among them. */
const LONGEST_LISTED = 12;
const NEAR = 3;

/** What `value` breaks of `schema`: one violation for each place, in the document's order. */
export function check(schema: CompiledSchema, value: unknown): Violation[] {
  if (schema(value)) return [];
  const violations = (schema.errors ?? []).map(violationOf);
  return onePerPlace(violations.filter((violation) => violation !== undefined));
}

/** The violation that an error stands for; none for those that only repeat what others say. */
function violationOf(error: SchemaError): Violation | undefined {
  const { instancePath, keyword, params, parentSchema } = error;
  if (keyword === 'if' || error.propertyName !== undefined) return undefined;
  if (keyword === 'propertyNames') {
    const name = params.propertyName ?? '';
    return {
      pointer: instancePath + pointerTo(name),
      found: `the name ${render(name)}`,
      allowed: wordsOf(parentSchema.propertyNames),
    };
  }
  if (keyword === 'required' || keyword === 'dependencies') {
    const name = params.missingProperty ?? '';
    const because = keyword === 'dependencies' ? `, required beside "${params.property}"` : '';
    return {
      pointer: instancePath + pointerTo(name),
      found: render(undefined),
      allowed: wordsOf(parentSchema.properties?.[name]) + because,
    };
  }
  const found = render(error.data);
  return { pointer: instancePath, found, allowed: allowedInstead(parentSchema, error.data) };
}

function wordsOf(schema: Words | undefined): string {
  return schema?.description ?? 'a value';
}

/** What the schema allows; of a long enumeration only the name that was probably meant. */
function allowedInstead(schema: Words, value: unknown): string {
  const names = (schema.enum ?? []).filter((name) => typeof name === 'string');
  if (typeof value !== 'string' || names.length <= LONGEST_LISTED) return wordsOf(schema);
  const nearest = nearestOf(value.toUpperCase(), names);
  if (nearest === undefined) return wordsOf(schema);
  return `"${nearest}", or another of ${names.length} names`;
}

/** The name that `text` was probably meant to be: its prefix forgotten, or a few letters wrong. */
function nearestOf(text: string, names: readonly string[]): string | undefined {
  if (text === '' || text.length > 100) return undefined;
  const ending = names.find((name) => name.endsWith(`_${text}`));
  if (ending !== undefined) return ending;
  let nearest: string | undefined;
  let least = NEAR + 1;
  for (const name of names) {
    const distance = editDistance(text, name);
    if (distance < least) [least, nearest] = [distance, name];
  }
  return nearest;
}

/** How many letters must be changed, added or removed to get from one text to the other. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (let column = 1; column <= to.length; column++) {
      const changed = (row[column - 1] ?? 0) + (letter === to[column - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
