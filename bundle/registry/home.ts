import { homedir } from 'node:os';
import { join } from 'node:path';

/** The user's own directory. */
export function homeDirectory(): string {
  return process.env.HOME || homedir();
}

/** Where the user's configuration is: XDG Base Directory. */
export function configDirectory(): string {
  return process.env.XDG_CONFIG_HOME || join(homeDirectory(), '.config');
}
