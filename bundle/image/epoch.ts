/**
 * The latest time that what is made may have, from the environment variable SOURCE_DATE_EPOCH
 * (reproducible-builds.org): whoever makes the same again gets the same.
 *
 * @returns seconds since the epoch; undefined where the variable is not set
 * @throws Error in one line when it is no such number
 */
export function sourceDateEpoch(): number | undefined {
  const text = process.env.SOURCE_DATE_EPOCH;
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,11}$/.test(text))
    throw new Error(
      `the environment variable SOURCE_DATE_EPOCH is ${JSON.stringify(text)}: want seconds since 1970`,
    );
  return Number(text);
}

/** When something is made, as image configurations tell it: RFC 3339. */
export function creationTime(): string {
  const epoch = sourceDateEpoch();
  const time = epoch === undefined ? new Date() : new Date(epoch * 1000);
  // Like Go's programs, so that the configuration is the same bytes when they write it again.
  return time.toISOString().replace(/\.?0*Z$/, 'Z');
}
