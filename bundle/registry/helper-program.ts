import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { reason } from '../../runtime/linux/reason.ts';

/** Milliseconds: some helpers ask a server in turn, or their user. */
const PATIENCE = 60_000;

/** What a helper keeps, in its own protocol's names. */
export interface HelperSecret {
  readonly Username: string;
  readonly Secret: string;
}

/**
 * Asks a credential helper, the program `docker-credential-NAME`.
 *
 * @param key the registry
 * @returns undefined where it knows nothing of this registry
 * @throws Error in one line when the helper is missing, fails, or answers nonsense
 */
export async function askHelper(name: string, key: string): Promise<HelperSecret | undefined> {
  const { status, output } = await call(name, 'get', key);
  if (status !== 0) {
    // The protocol has no other sign: the libraries of both sides compare this sentence.
    if (/credentials not found/i.test(output)) return undefined;
    throw new Error(`${program(name)} failed for ${key}: ${output || `exit status ${status}`}`);
  }
  try {
    const { Username, Secret } = JSON.parse(output) as HelperSecret;
    if (typeof Username === 'string' && typeof Secret === 'string') return { Username, Secret };
  } catch {
    // Said below.
  }
  throw new Error(`${program(name)} answered something else than Username and Secret for ${key}`);
}

/** Gives a helper credentials to keep. @throws Error as `askHelper` does */
export async function tellHelper(name: string, key: string, secret: HelperSecret): Promise<void> {
  const { status, output } = await call(
    name,
    'store',
    JSON.stringify({ ServerURL: key, ...secret }),
  );
  if (status !== 0)
    throw new Error(`${program(name)} did not store the credentials for ${key}: ${output}`);
}

/** Has a helper forget. @throws Error as `askHelper` does */
export async function eraseFromHelper(name: string, key: string): Promise<void> {
  const { status, output } = await call(name, 'erase', key);
  if (status !== 0) throw new Error(`${program(name)} did not erase ${key}: ${output}`);
}

async function call(
  name: string,
  verb: string,
  input: string,
): Promise<{ status: number | null; output: string }> {
  if (!/^[\w.-]+$/.test(name))
    throw new Error(`${JSON.stringify(name)} is no name of a credential helper`);
  const child = spawn(program(name), [verb], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: PATIENCE,
  });
  // It may end without having read.
  child.stdin.on('error', () => undefined);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stdin.end(`${input}\n`);
  try {
    const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
    const late = `no answer within ${PATIENCE / 1000} seconds`;
    return { status, output: signal === 'SIGTERM' ? late : output.trim() };
  } catch (error) {
    throw new Error(`the credential helper ${program(name)} cannot be run: ${reason(error)}`, {
      cause: error,
    });
  }
}

function program(name: string): string {
  return `docker-credential-${name}`;
}
