import type { RegistryClient } from './client.ts';
import { hasStatus, RegistryError } from './error.ts';
import { readText } from './http.ts';

/** Pages of a list: one that has more never ends. */
const MOST_PAGES = 10_000;

/**
 * The tags of a repository (distribution-spec, Listing tags), 3.9 before 3.10.
 *
 * @throws RegistryError in one line, also for a repository that does not exist
 */
export async function listTags(client: RegistryClient): Promise<string[]> {
  const { registry, repository } = client.endpoint;
  const tags: string[] = [];
  try {
    for await (const page of pages(client, client.path('tags/list?n=1000'))) {
      const { tags: found } = page as { tags?: unknown };
      // Go writes null for an empty list.
      if (Array.isArray(found)) tags.push(...found.map(String));
    }
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
    throw new RegistryError(`${registry} has no repository ${repository}: ${error.message}`, {
      status: 404,
      cause: error,
    });
  }
  const { compare } = new Intl.Collator('en', { numeric: true });
  return tags.sort(compare);
}

/** The JSON documents of a list: `Link` with rel="next" leads from one to the next (RFC 8288). */
export async function* pages(client: RegistryClient, first: string): AsyncGenerator<object> {
  const seen = new Set<string>();
  for (let path: string | URL | undefined = first; path !== undefined; ) {
    if (seen.has(String(path)) || seen.size === MOST_PAGES)
      throw new RegistryError(`${client.endpoint.registry}: ${first} has no end`);
    seen.add(String(path));
    const response = await client.request({
      method: 'GET',
      path,
      scopes: [client.scope('pull')],
      expect: [200],
    });
    const { link } = response.headers;
    const next = /<([^>]*)>[^,]*;\s*rel="?next"?/i.exec([link ?? []].flat().join(', '))?.[1];
    path = next === undefined ? undefined : await client.leads(next, response);
    const text = await readText(response);
    let page: unknown;
    try {
      page = JSON.parse(text);
    } catch {
      // Said below.
    }
    if (typeof page !== 'object' || page === null)
      throw new RegistryError(`${response.url.host}: ${response.url.pathname} is no JSON object`);
    yield page;
  }
}
