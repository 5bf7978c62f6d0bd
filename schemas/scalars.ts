/**
 * A 64-bit integer of a JSON file. It's a `number` where that is exact, and a `bigint` beyond
 * ±(2^53 - 1): write it with `String(value)`, or put it into a struct with `BigInt(value)`.
 * The sign is the field's: each says whether it's an `int64` or a `uint64`.
 */
export type Integer64 = number | bigint;

/** Numbers and ranges such as `0-3,7`. */
export type IntegerList = string;
