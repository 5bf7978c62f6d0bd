import { pointerTo } from '../../schemas/violation.ts';

/** A value that two JSON documents don't have in common. */
export interface JsonDifference {
  /** RFC 6901 */
  readonly pointer: string;
  /** undefined where there is none. */
  readonly first: unknown;
  readonly second: unknown;
}

/** Finds all values, the smallest parts, in which two JSON documents differ. */
export function jsonDifferences(first: unknown, second: unknown, pointer = ''): JsonDifference[] {
  if (!isComposite(first) || !isComposite(second) || Array.isArray(first) !== Array.isArray(second))
    return Object.is(first, second) ? [] : [{ pointer, first, second }];
  const keys = new Set([...Object.keys(first), ...Object.keys(second)]);
  return [...keys].flatMap((key) =>
    jsonDifferences(first[key], second[key], pointer + pointerTo(key)),
  );
}

function isComposite(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
