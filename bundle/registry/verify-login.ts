import { RegistryClient, type RegistryOptions } from './client.ts';
import { endpointOf } from './endpoint.ts';
import { hasStatus, RegistryError } from './error.ts';
import { drop } from './http.ts';

/**
 * Asks a registry whether it accepts credentials (distribution-spec, Determining Support).
 *
 * @throws RegistryError in one line when it does not
 */
export async function verifyLogin(
  registry: string,
  { username, password }: { readonly username: string; readonly password: string },
  options: RegistryOptions,
): Promise<void> {
  const endpoint = endpointOf({ registry, repository: '' }, options.insecure ?? false);
  const from = `this command (user ${username})`;
  const client = new RegistryClient(endpoint, options, { from, username, password });
  try {
    await drop(await client.request({ method: 'GET', path: '', scopes: [], expect: [200] }));
  } catch (error) {
    if (!hasStatus(error, 401, 403)) throw error;
    throw new RegistryError(
      `${registry} does not accept this user and password: ${error.message}`,
      {
        ...(error.status === undefined ? {} : { status: error.status }),
        cause: error,
      },
    );
  } finally {
    client.close();
  }
}
