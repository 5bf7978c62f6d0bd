import { execInContainer } from '../container/exec.ts';
import type { ProcessChanges } from '../container/exec-process.ts';
import { callersDescriptors } from '../container/preserved.ts';
import { validateId } from '../container/store.ts';
import { resolve } from '../linux/path.ts';
import { isId } from '../linux/user-database.ts';
import { capabilityNumber } from '../plan/capabilities.ts';
import { preservedCount } from './create-options.ts';
import type { Flags, Input } from './parse.ts';
import { storeOf } from './root.ts';

/** @returns in the foreground the exit status of the program, else 0 */
export function run({ global, flags, positionals }: Input): Promise<number> {
  const [id = '', ...args] = positionals;
  validateId(id);
  const preserveFds = preservedCount(flags, 0);
  const cgroup = flags.text('cgroup');
  return execInContainer({
    root: storeOf(global).root,
    id,
    request: { ...path(flags, 'process', 'file'), changes: changes(flags, args) },
    ...(cgroup === undefined ? {} : { cgroup }),
    ignorePaused: flags.has('ignore-paused'),
    detach: flags.has('detach'),
    ...path(flags, 'console-socket', 'consoleSocket'),
    ...path(flags, 'pidfd-socket', 'pidfdSocket'),
    ...path(flags, 'pid-file', 'pidFile'),
    preserveFds,
    preserved: callersDescriptors(preserveFds),
  });
}

/** The absolute path that a flag names, under another name. */
function path<K extends string>(flags: Flags, flag: string, key: K): { [P in K]?: string } {
  const text = flags.text(flag);
  return (text === undefined ? {} : { [key]: resolve(text) }) as { [P in K]?: string };
}

function changes(flags: Flags, args: readonly string[]): ProcessChanges {
  const cwd = flags.text('cwd');
  const user = flags.text('user');
  const apparmorProfile = flags.text('apparmor');
  const selinuxLabel = flags.text('process-label');
  if (cwd !== undefined && !cwd.startsWith('/'))
    throw new Error(`--cwd ${cwd}: give an absolute path in the container`);
  return {
    args,
    ...(cwd === undefined ? {} : { cwd }),
    env: flags.all('env').map(variable),
    ...(user === undefined ? {} : { user }),
    additionalGids: flags.all('additional-gids').map(gid),
    capabilities: flags.all('cap').map(capability),
    ...(apparmorProfile === undefined ? {} : { apparmorProfile }),
    ...(selinuxLabel === undefined ? {} : { selinuxLabel }),
    noNewPrivileges: flags.has('no-new-privs'),
    terminal: flags.has('tty'),
  };
}

function variable(text: string): string {
  if (text.indexOf('=') > 0) return text;
  throw new Error(`--env ${text}: give NAME=VALUE`);
}

function gid(text: string): number {
  if (isId(text)) return Number(text);
  throw new Error(`--additional-gids ${text}: give the number of a group`);
}

function capability(text: string): ProcessChanges['capabilities'][number] {
  const name = `CAP_${text.toUpperCase().replace(/^CAP_/, '')}` as const;
  try {
    capabilityNumber(name);
  } catch (cause) {
    throw new Error(`--cap ${text}: ${(cause as Error).message}; capabilities(7) lists them`, {
      cause,
    });
  }
  return name;
}
