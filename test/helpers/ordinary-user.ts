import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandOf, type Engine, testDirectory } from './scow.ts';

/** A user with no privileges and no entry in any database: newuidmap(1) knows nothing of them. */
export interface OrdinaryUser {
  readonly uid: number;
  readonly gid: number;
}

export interface UserOptions {
  readonly engine: Engine;
  readonly cwd: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The cgroup to be in, as the directory that the user may write to. */
  readonly cgroup?: string;
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
  { engine, env, cgroup }: UserOptions,
): string[] {
  const project = join(testDirectory(), 'project');
  mkdirSync(project, { recursive: true });
  const command = commandOf(engine).map((word) => word.replace(process.cwd(), project));
  const move = cgroup === undefined ? '' : `echo $$ > '${cgroup}/cgroup.procs' && `;
  const script = `${move}mount --bind "$0" "$1" && shift && exec "$@"`;
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
  const clean = ['env', '-i', ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  return [
    ...['unshare', '--mount', '--propagation=slave', 'sh', '-c', script, process.cwd(), project],
    ...[...user, ...clean, ...command],
  ];
}

/** Runs scow as the user, and waits for it but not for containers that it leaves behind. */
export function scowAs(user: OrdinaryUser, args: readonly string[], options: UserOptions) {
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
