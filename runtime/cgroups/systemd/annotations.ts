import { pointerTo } from '../../../schemas/violation.ts';
import type { Variant } from '../../linux/dbus/marshal.ts';
import { reason } from '../../linux/reason.ts';
import { parseGVariant } from './gvariant.ts';
import type { Property } from './properties.ts';

/** What follows it is the name of a property of the container's unit. */
export const PROPERTY_PREFIX = 'org.systemd.property.';

const MICROSECONDS = 1_000_000;

/**
 * The properties of the unit that the annotations of config.json ask for, as with runc: values are
 * written as GVariant has them, and a property that systemd documents in seconds, `TimeoutStopSec`,
 * becomes the one that it takes by D-Bus, `TimeoutStopUSec`.
 *
 * @throws Error in one line, with the annotation's pointer
 */
export function annotatedProperties(annotations: Readonly<Record<string, string>>): Property[] {
  return Object.entries(annotations)
    .filter(([key]) => key.startsWith(PROPERTY_PREFIX))
    .map(([key, text]) => {
      try {
        return property(key.slice(PROPERTY_PREFIX.length), text);
      } catch (cause) {
        throw new Error(
          `the annotation ${key} is no property of a systemd unit: ${JSON.stringify(text)}: ` +
            `${reason(cause)}  [${pointerTo('annotations', key)}]`,
          { cause },
        );
      }
    });
}

function property(name: string, text: string): Property {
  if (!/^[A-Za-z]{3,}$/.test(name)) throw new Error('its name is of three letters or more');
  const value = parseGVariant(text);
  if (!/[a-z]Sec$/.test(name)) return [name, value];
  return [name.replace(/Sec$/, 'USec'), inMicroseconds(value)];
}

function inMicroseconds({ signature, value }: Variant): Variant {
  if (!/^[ynqiuxtd]$/.test(signature) || !(Number(value) >= 0))
    throw new Error('give a number of seconds');
  const microseconds =
    typeof value === 'bigint'
      ? value * BigInt(MICROSECONDS)
      : BigInt(Math.trunc(Number(value) * MICROSECONDS));
  if (microseconds >= 2n ** 64n) throw new Error('it is more than 64 bits hold');
  return { signature: 't', value: microseconds };
}
