import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Hook, Hooks } from '../../../schemas/runtime-config.ts';
import { bundleOf, type EditableConfig, testDirectory } from '../../helpers/scow.ts';

export type HookName = keyof Hooks;

/** In the order of the lifecycle. */
export const HOOKS = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
] as const satisfies readonly HookName[];

/** The hooks that are programs of the host. */
export const OF_THE_HOST = HOOKS.filter((name) => name !== 'startContainer');

/** Where hooks write down what they see. In the container this is /notes. */
export function notes(): string {
  const directory = join(testDirectory(), 'notes');
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** Writes down, under the name given as its first argument, what a hook finds itself in. */
const WITNESS = `
name=$1; to=$2
echo $name >> $to/order
cat > $to/$name.state
{
  echo "argv $0 $*"
  echo "cwd $(pwd)"
  echo "umask $(umask)"
  echo "files $(ulimit -n)"
  for ns in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$ns; done
  grep -E '^(SigIgn|SigBlk|CapEff|CapBnd|Uid|Seccomp|NoNewPrivs):' /proc/self/status
  grep -E '^0::' /proc/self/cgroup
  for fd in $(ls /proc/self/fd); do echo "fd $fd"; done
} > $to/$name.seen 2>&1
`;

/** A hook that writes down what it sees. */
export function witness(name: HookName, more: Partial<Hook> = {}, as: string = name): Hook {
  const to = name === 'startContainer' ? '/notes' : notes();
  const args = ['sh', '-c', WITNESS, 'witness', as, to];
  return { path: '/bin/sh', args, ...more };
}

/** The notes of a hook, by the word that each begins with. */
export function seen(name: string): {
  readonly lines: string[];
  readonly get: (key: string) => string | undefined;
} {
  const lines = readFileSync(join(notes(), `${name}.seen`), 'utf8')
    .trimEnd()
    .split('\n');
  const get = (key: string) =>
    lines
      .find((line) => line.startsWith(key))
      ?.slice(key.length)
      .trim();
  return { lines, get };
}

export function stateOf(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(notes(), `${name}.state`), 'utf8'));
}

/** The names of the hooks that ran, in order. */
export function order(): string[] {
  const file = join(notes(), 'order');
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
}

/** A hook that says something and fails. */
export const FAILING: Hook = {
  path: '/bin/sh',
  args: ['sh', '-c', 'echo first; echo "no such wish" >&2; exit 7'],
};

/** A bundle with hooks, whose container has the notes in /notes. */
export function hooked(hooks: Hooks, edit: (config: EditableConfig) => void = () => {}): string {
  const bundle = bundleOf((config) => {
    if (config.process) config.process.args = ['true'];
    config.hooks = hooks as NonNullable<EditableConfig['hooks']>;
    config.mounts?.push({ destination: '/notes', source: notes(), options: ['bind'] });
    edit(config);
  });
  mkdirSync(join(bundle, 'rootfs/notes'));
  return bundle;
}
