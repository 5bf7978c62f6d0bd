import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '../../schemas/runtime-config.ts';
import type { RunSettings } from './settings.ts';

/** Where a bundle keeps them. */
const DIRECTORY = 'etc';

const LOCAL = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
`;

/** What systemd-resolved writes for those who can't reach its own address, which is local. */
const RESOLVED = '/run/systemd/resolve/resolv.conf';

const NAMES = ['hostname', 'hosts', 'resolv.conf'] as const;

/** The mounts that give a container its own files of names and addresses. */
export function networkFiles(bundle: string): Mount[] {
  return NAMES.map((name) => ({
    destination: `/etc/${name}`,
    type: 'bind',
    source: join(bundle, DIRECTORY, name),
    options: ['bind', 'rprivate', 'nosuid', 'nodev', 'noexec'],
  }));
}

/** Writes those files. A container on the host's network has the host's. */
export function writeNetworkFiles(
  bundle: string,
  { network, hostname }: Pick<RunSettings, 'network' | 'hostname'>,
): void {
  const shared = network === 'host';
  const text = {
    hostname: `${hostname}\n`,
    hosts: `${(shared ? read('/etc/hosts') : undefined) ?? LOCAL}127.0.1.1\t${hostname}\n`,
    'resolv.conf': resolvConf(shared),
  };
  mkdirSync(join(bundle, DIRECTORY), { mode: 0o755 });
  for (const name of NAMES)
    writeFileSync(join(bundle, DIRECTORY, name), text[name], { mode: 0o644 });
}

function resolvConf(shared: boolean): string {
  const own = read('/etc/resolv.conf') ?? '';
  const local = /^\s*nameserver\s+127\.0\.0\.53\b/m.test(own);
  return (local && !shared ? read(RESOLVED) : undefined) ?? own;
}

function read(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
