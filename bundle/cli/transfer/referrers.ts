import { print } from '../../../runtime/linux/output.ts';
import { parseName } from '../../image/name.ts';
import { RegistryClient } from '../../registry/client.ts';
import { endpointOf } from '../../registry/endpoint.ts';
import { listReferrers } from '../../registry/referrers.ts';
import { registrySource } from '../../registry/source.ts';
import { columns } from '../columns.ts';
import type { Input } from '../command.ts';
import { jsonText, wantsJson } from '../format.ts';
import { size } from '../progress.ts';
import { locationOptions } from './options.ts';

/** Lists what refers to an image of a registry. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const json = wantsJson(input);
  const name = parseName(input.text('image') ?? '');
  const options = locationOptions(input);
  const digest = name.digest ?? (await digestOf(name, options));
  const client = new RegistryClient(endpointOf(name, options.insecure ?? false), options);
  try {
    const found = await listReferrers(client, digest);
    const rows = found.map((one) => [
      one.artifactType ?? one.mediaType,
      one.digest,
      size(one.size),
    ]);
    print(
      json
        ? jsonText({ subject: digest, referrers: found })
        : columns([['TYPE', 'DIGEST', 'SIZE'], ...rows]),
    );
    return 0;
  } finally {
    client.close();
  }
}

async function digestOf(...[name, options]: Parameters<typeof registrySource>): Promise<string> {
  const source = await registrySource(name, options);
  source.close();
  return source.root.digest;
}
