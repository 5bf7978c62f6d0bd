import { createHash } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { machine, release } from 'node:os';
import { join } from 'node:path';
import type { Seccomp } from '../../../schemas/runtime-config.ts';
import { O } from '../../linux/constants.ts';
import { reason } from '../../linux/reason.ts';
import { debug } from '../log.ts';
import type { ContainerStore } from '../store.ts';
import type { CompiledProfile } from './libseccomp.ts';

const NAME = 'seccomp';
/** Each is of some 10 KiB, and 44 KiB at the most: the kernel takes 4096 instructions. */
const MOST_ENTRIES = 64;
/** Goes up when the same profile is compiled to something else. */
const FORMAT = 1;
const WRITABLE_BY_OTHERS = 0o022;

/** A compiled profile as a file has it. */
interface Entry {
  /** Base64. */
  readonly program: string;
  readonly unknown: readonly string[];
  /** SHA-256 of both. */
  readonly digest: string;
  /** The library that compiled it: see {@link identity}. */
  readonly library: string;
  readonly identity: string;
}

/**
 * Compiled profiles, one file each, in a directory that only its owner can write. What it holds is
 * what libseccomp would make again; whoever finds it damaged, or can't write it, does without.
 */
export class FilterCache {
  readonly #store: ContainerStore;
  readonly #directory: string;

  constructor(store: ContainerStore) {
    this.#store = store;
    this.#directory = store.shared(NAME);
  }

  /**
   * What a profile was compiled to before, by the library that is there today. One that was removed
   * since does not matter.
   */
  read(profile: Seccomp): Pick<CompiledProfile, 'program' | 'unknown'> | undefined {
    const entry = this.#entry(keyOf(profile));
    if (entry === undefined) return undefined;
    const now = identity(entry.library);
    if (now !== undefined && now !== entry.identity) return undefined;
    return { program: Buffer.from(entry.program, 'base64'), unknown: entry.unknown };
  }

  write(profile: Seccomp, { program, unknown, library }: CompiledProfile): void {
    if (library === undefined) return;
    const text = Buffer.from(program).toString('base64');
    const entry: Entry = {
      program: text,
      unknown,
      digest: digestOf(text, unknown),
      library,
      identity: identity(library) ?? '',
    };
    const file = join(this.#directory, keyOf(profile));
    const temporary = `${file}.${process.pid}`;
    try {
      this.#store.makeShared(NAME);
      if (!isOurs(lstatSync(this.#directory))) throw new Error('somebody else can write there');
      writeFileSync(temporary, JSON.stringify(entry), { mode: 0o600, flag: 'wx' });
      renameSync(temporary, file);
      this.#evict();
    } catch (error) {
      debug(`the compiled seccomp profile is not kept in ${this.#directory}: ${reason(error)}`);
    }
  }

  #entry(key: string): Entry | undefined {
    let fd: number | undefined;
    try {
      if (!isOurs(lstatSync(this.#directory))) return undefined;
      fd = openSync(join(this.#directory, key), O.RDONLY | O.NOFOLLOW | O.NONBLOCK | O.CLOEXEC);
      const found = fstatSync(fd);
      if (!found.isFile() || !isOurs(found)) return undefined;
      const entry = JSON.parse(readFileSync(fd, 'utf8')) as Partial<Entry>;
      const { program = '', unknown = [], library, digest } = entry;
      const whole = typeof library === 'string' && digestOf(program, unknown) === digest;
      return whole ? (entry as Entry) : undefined;
    } catch {
      return undefined;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  /** Removes the oldest files, remains of a scow that was killed among them. */
  #evict(): void {
    const files = readdirSync(this.#directory);
    if (files.length <= MOST_ENTRIES) return;
    const byAge = files
      .map((name) => join(this.#directory, name))
      .map((path) => ({ path, time: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
      .sort((a, b) => a.time - b.time);
    for (const { path } of byAge.slice(0, files.length - MOST_ENTRIES))
      rmSync(path, { force: true });
  }
}

function isOurs(found: Stats): boolean {
  return found.uid === process.geteuid?.() && (found.mode & WRITABLE_BY_OTHERS) === 0;
}

/** All that a program follows from, but the library. Flags and listener are no part of it. */
function keyOf({ defaultAction, defaultErrnoRet, architectures, syscalls }: Seccomp): string {
  const parts = [defaultAction, defaultErrnoRet, architectures, syscalls];
  const text = JSON.stringify([FORMAT, machine(), release(), ...parts], (_, value) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  return sha256(text);
}

/** What changes when a file is replaced by another; undefined when it is not there. */
function identity(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.size} bytes of ${found.mtimeMs}`;
}

function digestOf(program: string, unknown: readonly string[]): string {
  return sha256(JSON.stringify([program, unknown]));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
