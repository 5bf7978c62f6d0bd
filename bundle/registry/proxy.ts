import { BlockList, isIP, isIPv6 } from 'node:net';

/**
 * The proxy that the environment names for a URL: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, also in
 * lower case. This machine itself is never reached through one.
 *
 * @throws Error in one line for what is no proxy's URL
 */
export function proxyFor(url: URL): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const value = environment(name);
  if (value === undefined || isLoopback(hostOf(url)) || isExempt(url)) return undefined;
  let proxy: URL;
  try {
    proxy = new URL(value.includes('://') ? value : `http://${value}`);
  } catch (error) {
    // It may hold a password: it is not shown.
    throw new Error(`${name}: this is no URL`, { cause: error });
  }
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:')
    throw new Error(
      `${name}: proxies are reached by http:// or https://, not by ${proxy.protocol}//`,
    );
  return proxy;
}

/** `Proxy-Authorization` for a URL with a user. */
export function proxyHeaders(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** Whether NO_PROXY lists it: a domain with all below it, an address, a range, each with a port or not. */
function isExempt(url: URL): boolean {
  const host = hostOf(url);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return (environment('NO_PROXY') ?? '')
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => {
      if (entry === '*') return true;
      if (isIP(entry) !== 0 || entry.includes('/')) return isInRange(host, entry);
      const [, pattern = '', only] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry) ?? [];
      if (pattern === '' || (only !== undefined && only !== port)) return false;
      const domain = pattern.replace(/^\*?\./, '');
      return (host === domain && domain === pattern) || host.endsWith(`.${domain}`);
    });
}

function isInRange(host: string, entry: string): boolean {
  if (isIP(host) === 0) return false;
  const [address = '', bits] = entry.split('/');
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  try {
    list.addSubnet(address, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family);
  } catch {
    return false;
  }
  return list.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || isInRange(host, '127.0.0.0/8') || isInRange(host, '::1');
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '').toLowerCase();
}

function environment(name: string): string | undefined {
  return process.env[name] || process.env[name.toLowerCase()] || undefined;
}
