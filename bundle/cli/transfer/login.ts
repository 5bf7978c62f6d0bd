import { readFileSync } from 'node:fs';
import { isatty } from 'node:tty';
import { print } from '../../../runtime/linux/output.ts';
import { reason } from '../../../runtime/linux/reason.ts';
import { storeLogin } from '../../registry/login.ts';
import { verifyLogin } from '../../registry/verify-login.ts';
import type { Input } from '../command.ts';
import { locationOptions } from './options.ts';
import { ask } from './prompt.ts';
import { registryOf } from './registry-name.ts';

/** Checks credentials with a registry, and keeps them. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const registry = registryOf(input.text('registry') ?? '');
  const options = locationOptions(input);
  const piped = input.switch('password-stdin') ?? false;
  if (!piped && !isatty(0))
    throw new Error('login asks for the password on a terminal: want --password-stdin elsewhere');
  if (piped && input.text('username') === undefined)
    throw new Error('--password-stdin takes --username too: standard input has the password');
  const username = input.text('username') ?? (await ask('Username: ', true));
  const password = piped ? passwordFromStdin() : await ask('Password: ', false);
  if (username === '' || username.includes(':'))
    throw new Error(`the user ${JSON.stringify(username)}: want a name without a colon`);
  await verifyLogin(registry, { username, password }, options);
  const place = await storeLogin(registry, { username, password });
  print(`${registry}: logged in as ${username}; the password is in ${place}\n`);
  return 0;
}

function passwordFromStdin(): string {
  let text: string;
  try {
    text = readFileSync(0, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new Error(`cannot read the password: ${reason(error)}`, { cause: error });
  }
  if (text === '') throw new Error('--password-stdin: standard input is empty');
  if (text.includes('\n')) throw new Error('--password-stdin: the password has more than one line');
  return text;
}
