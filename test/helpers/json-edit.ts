import { pointerTo } from '../../schemas/violation.ts';

/**
 * The document with `value` at the JSON pointer; `undefined` removes what is there. The original
 * stays as it is, and shares with the result what lies elsewhere.
 */
export function withValue(document: unknown, pointer: string, value: unknown): unknown {
  return edited(document, keysOf(pointer), value);
}

function edited(at: unknown, keys: readonly string[], value: unknown): unknown {
  const [key, ...rest] = keys;
  if (key === undefined) return value;
  if (Array.isArray(at)) {
    const index = Number(key);
    const entry = edited(at[index], rest, value);
    return at.toSpliced(index, 1, ...(entry === undefined ? [] : [entry]));
  }
  const { [key]: old, ...others } = (at ?? {}) as Record<string, unknown>;
  const entry = edited(old, rest, value);
  return entry === undefined ? others : { ...others, [key]: entry };
}

/** The JSON pointers of all places of the document, its root first. */
export function* pointersOf(value: unknown, pointer = ''): Generator<string> {
  yield pointer;
  if (typeof value !== 'object' || value === null) return;
  for (const [key, entry] of Object.entries(value)) {
    yield* pointersOf(entry, pointer + pointerTo(key));
  }
}

/** The keys that a JSON pointer is made of. */
export function keysOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}
