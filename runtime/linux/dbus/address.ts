/**
 * The sockets that an address of D-Bus names (D-Bus specification, Server Addresses): a list of
 * transports with keys, of which those of Unix sockets are understood.
 *
 * @param address such as `unix:path=/run/user/1000/bus,guid=…;unix:abstract=name`
 * @param runtimeDirectory what `unix:runtime=yes` counts from
 * @returns paths, and `@name` for names in the abstract namespace
 */
export function socketsOf(address: string, runtimeDirectory?: string): string[] {
  return address.split(';').flatMap((one) => {
    const [, list = ''] = /^unix:(.*)$/s.exec(one) ?? [];
    const keys = new Map(
      list.split(',').map((pair) => {
        const [key = '', value = ''] = pair.split(/=(.*)/s);
        return [key, decoded(value)];
      }),
    );
    const path = keys.get('path');
    if (path) return [path];
    const abstract = keys.get('abstract');
    if (abstract) return [`@${abstract}`];
    return keys.get('runtime') === 'yes' && runtimeDirectory ? [`${runtimeDirectory}/bus`] : [];
  });
}

/** Bytes may be written as a percent sign and two hexadecimal digits. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
