import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { configDirectory } from './home.ts';

/** Where systems keep the authorities that their administrator trusts. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** What a TLS connection is made with: options of tls.connect. */
export interface Certificates {
  readonly ca: string[];
  /** Ours, for registries that ask who we are. */
  readonly cert?: string;
  readonly key?: string;
}

/**
 * What was set up for a registry: `certs.d/HOST[:PORT]/` with any `*.crt`, an authority, and
 * `*.cert` with `*.key`, the client's (containers-certs.d(5)). The first directory that exists
 * counts: the user's own, /etc/containers, /etc/docker.
 *
 * @param host `HOST[:PORT]`
 * @throws Error in one line for files that cannot be read, or a certificate without its key
 */
export function certificatesFor(host: string): Certificates {
  // A URL's host may be "..", too.
  if (/^\.*$/.test(host)) return { ca: authorities() };
  for (const base of [join(configDirectory(), 'containers'), '/etc/containers', '/etc/docker']) {
    const directory = join(base, 'certs.d', host);
    const names = namesIn(directory);
    if (names !== undefined) return fromDirectory(directory, names);
  }
  return { ca: authorities() };
}

function fromDirectory(directory: string, names: readonly string[]): Certificates {
  const own = names.filter((name) => name.endsWith('.crt'));
  const ca = [...authorities(), ...own.map((name) => read(join(directory, name)))];
  const certificate = names.find((name) => name.endsWith('.cert'));
  if (certificate === undefined) return { ca };
  const key = certificate.replace(/\.cert$/, '.key');
  if (!names.includes(key))
    throw new Error(`${join(directory, certificate)} has no key: ${key} is missing beside it`);
  return { ca, cert: read(join(directory, certificate)), key: read(join(directory, key)) };
}

/** Those that the system trusts; the engine's own where the system has no list. */
function authorities(): string[] {
  const named = process.env.SSL_CERT_FILE;
  if (named) return [read(named)];
  for (const path of SYSTEM_BUNDLES) {
    try {
      return [readFileSync(path, 'latin1')];
    } catch {
      // The next one.
    }
  }
  return [...rootCertificates];
}

function namesIn(directory: string): string[] | undefined {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw new Error(`cannot read ${directory}: ${reason(error)}`, { cause: error });
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    throw new Error(`cannot read the certificate ${path}: ${reason(error)}`, { cause: error });
  }
}
