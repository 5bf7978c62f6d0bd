import { print } from '../../../runtime/linux/output.ts';
import { parseName } from '../../image/name.ts';
import { RegistryClient } from '../../registry/client.ts';
import { endpointOf } from '../../registry/endpoint.ts';
import { listTags } from '../../registry/tags.ts';
import type { Input } from '../command.ts';
import { jsonText, wantsJson } from '../format.ts';
import { plain } from '../output.ts';
import { locationOptions } from './options.ts';

/** Lists the tags of a repository. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const json = wantsJson(input);
  const { registry, repository } = parseName(input.text('repository') ?? '');
  const options = locationOptions(input);
  const client = new RegistryClient(
    endpointOf({ registry, repository }, options.insecure ?? false),
    options,
  );
  try {
    const tags = await listTags(client);
    print(
      json
        ? jsonText({ repository: `${registry}/${repository}`, tags })
        : tags.map((tag) => `${plain(tag)}\n`).join(''),
    );
    return 0;
  } finally {
    client.close();
  }
}
