const PROTOCOLS = ['tcp', 'udp', 'sctp'];

/**
 * The keys of `ExposedPorts` that a port means: `80`, `80/udp`, `8000-8010/tcp`.
 *
 * @throws Error for anything else
 */
export function parsePorts(text: string): string[] {
  const [, first, last = first, protocol = 'tcp'] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/([a-z]+))?$/i.exec(text) ?? [];
  const [from, to] = [Number(first), Number(last)];
  const known = PROTOCOLS.includes(protocol.toLowerCase());
  if (first === undefined || !known || from < 1 || to < from || to > 65535)
    throw new Error(
      `has ${JSON.stringify(text)}: want PORT[-PORT][/PROTOCOL], with ports of 1 to 65535 and ${PROTOCOLS.join(', ')}`,
    );
  return Array.from({ length: to - from + 1 }, (_, i) => `${from + i}/${protocol.toLowerCase()}`);
}
