import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { listSync, readFileSync, readlinkSync } from '../linux/files.ts';
import { logDescriptor } from './log.ts';

const FIRST = 3;

/** What an engine opens for itself when it starts. */
const ENGINES_OWN: ReadonlySet<string> = new Set([
  'anon_inode:[eventpoll]',
  'anon_inode:[eventfd]',
]);

/**
 * The descriptors that scow's caller handed down for the program, `--preserve-fds`. Where the
 * caller left a number free the engine, or scow itself, has something of its own by now, which
 * must not reach a container. Both mark what they were handed close-on-exec like what they open,
 * so that only what a descriptor is tells whose it is.
 *
 * To be asked before scow opens anything but its log.
 *
 * @param count how many numbers from 3 on are the caller's
 */
export function callersDescriptors(count: number): number[] {
  if (count === 0) return [];
  const open = new Map<number, string>();
  for (const { name } of listSync('/proc/self/fd')) {
    const what = whatIs(name);
    if (what !== undefined) open.set(Number(name), what);
  }
  const nodesPipes = process.versions.bun === undefined ? wholePipes(open) : new Set<string>();
  return [...open]
    .filter(([fd]) => fd >= FIRST && fd < FIRST + count && fd !== logDescriptor())
    .filter(([, what]) => !ENGINES_OWN.has(what) && !nodesPipes.has(what))
    .map(([fd]) => fd)
    .sort((a, b) => a - b);
}

/**
 * How many sockets scow's caller hands down for the program from number 3 on, as sd_listen_fds(3)
 * has it: not those that are meant for another process.
 */
export function activationSockets(): number {
  const { LISTEN_PID, LISTEN_FDS } = process.env;
  if (LISTEN_PID !== String(process.pid) || !/^\d+$/.test(LISTEN_FDS ?? '')) return 0;
  return Number(LISTEN_FDS);
}

/** The configuration with what sd_listen_fds(3) reads of that many sockets. */
export function tellOfSockets(config: RuntimeConfig, count: number): RuntimeConfig {
  if (count === 0 || config.process === undefined) return config;
  const names = process.env.LISTEN_FDNAMES;
  const told = [
    `LISTEN_FDS=${count}`,
    'LISTEN_PID=1',
    ...(names === undefined ? [] : [`LISTEN_FDNAMES=${names}`]),
  ];
  const env = [...(config.process.env ?? []), ...told];
  return { ...config, process: { ...config.process, env } };
}

/** Undefined for the one that the directory was read by. */
function whatIs(name: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${name}`);
  } catch {
    return undefined;
  }
}

/** The pipes of which both ends are open here: Node.js has some, to wake its threads. */
function wholePipes(open: ReadonlyMap<number, string>): Set<string> {
  const pipes = [...open].filter(([, what]) => what.startsWith('pipe:'));
  const written = new Set(pipes.filter(([fd]) => isWritable(fd)).map(([, what]) => what));
  const read = pipes.filter(([fd]) => !isWritable(fd)).map(([, what]) => what);
  return new Set(read.filter((what) => written.has(what)));
}

/** The last digit of its flags, which are octal, is the access mode (proc(5)). */
function isWritable(fd: number): boolean {
  return !/^flags:\s*[0-7]*0$/m.test(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'));
}
