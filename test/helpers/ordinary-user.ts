import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandOf, type Engine, testDirectory } from './scow.ts';

/** A user with no privileges; not necessarily one that the machine's databases know. */
export interface OrdinaryUser {
  readonly uid: number;
  readonly gid: number;
}

export interface UserOptions {
  readonly engine: Engine;
  readonly cwd: string;
  /** The whole environment; that of the test if not given. */
  readonly env?: Readonly<Record<string, string>>;
  /** The words of a command that is called with scow's as its arguments. */
  readonly outer?: readonly string[];
  /** A shell command that root runs in the mount namespace of all that. */
  readonly before?: string;
}

/** A directory that belongs to the user, who can reach it. */
export function directoryOf({ uid, gid }: OrdinaryUser, name: string): string {
  const directory = join(testDirectory(), name);
  mkdirSync(directory, { recursive: true });
  chmodSync(testDirectory(), 0o711);
  spawnSync('chown', ['-hR', `${uid}:${gid}`, directory]);
  return directory;
}

/**
 * The words that run scow as the user, who sees the project even where it is in the home of
 * another.
 */
export function commandAs(
  { uid, gid }: OrdinaryUser,
  { engine, env, outer = [], before = 'true' }: UserOptions,
): string[] {
  const project = join(testDirectory(), 'project');
  mkdirSync(project, { recursive: true });
  chmodSync(testDirectory(), 0o711);
  const command = commandOf(engine).map((word) => word.replace(process.cwd(), project));
  const script = `mount --bind "$0" "$1" && shift && ${before} && exec "$@"`;
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
  const words = Object.entries(env ?? {}).map(([name, value]) => `${name}=${value}`);
  const clean = env === undefined ? [] : ['env', '-i', ...words];
  return [
    ...['unshare', '--mount', '--propagation=slave', 'sh', '-c', script, process.cwd(), project],
    ...[...user, ...outer, ...clean, ...command],
  ];
}

/** Runs scow as the user, and waits for it but not for containers that it leaves behind. */
export function scowAs(user: OrdinaryUser, args: readonly string[], options: UserOptions) {
  // Files, for a pipe would stay open in a detached container, and be waited for.
  const files = ['stdout', 'stderr'].map((name) => join(testDirectory(), `user-${name}`));
  const [out = 0, err = 0] = files.map((file) => openSync(file, 'w'));
  const [command = '', ...first] = commandAs(user, options);
  const { status } = spawnSync(command, [...first, ...args], {
    cwd: options.cwd,
    stdio: ['ignore', out, err],
  });
  for (const fd of [out, err]) closeSync(fd);
  const [stdout = '', stderr = ''] = files.map((file) => readFileSync(file, 'utf8'));
  return { status, stdout, stderr };
}
