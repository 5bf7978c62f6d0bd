import { print } from '../../../runtime/linux/output.ts';
import { removeLogin } from '../../registry/login.ts';
import type { Input } from '../command.ts';
import { registryOf } from './registry-name.ts';

/** Forgets the credentials for a registry. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const registry = registryOf(input.text('registry') ?? '');
  const places = await removeLogin(registry);
  if (places.length === 0) throw new Error(`${registry}: there is no login`);
  print(`${registry}: logged out; removed from ${places.join(' and ')}\n`);
  return 0;
}
