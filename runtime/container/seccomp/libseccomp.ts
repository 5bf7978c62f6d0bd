import { closeSync, fstatSync, readFileSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import type {
  Seccomp,
  SeccompAction,
  SeccompArgument,
  SeccompSyscall,
} from '../../../schemas/runtime-config.ts';
import { explainErrno } from '../../linux/errno.ts';
import { type LibraryCall, LibraryMissing, SharedLibrary } from '../../linux/library.ts';
import { port } from '../../linux/port.ts';
import { syscall, writeWord } from '../../linux/syscall.ts';
import { enosysStub, type Newest } from './enosys.ts';
import { ACTIONS, OPERATORS } from './names.ts';

const NAME = 'libseccomp.so.2';
const { EEXIST, EPERM, ENOSYS } = constants.errno;
const MFD_CLOEXEC = 1;
/** Bytes of a `struct sock_filter`; and how many of them the kernel takes (BPF_MAXINSNS). */
export const SIZE_OF_INSTRUCTION = 8;
export const MOST_INSTRUCTIONS = 4096;
/** seccomp_syscall_resolve_name(3) for a name that it doesn't know. */
const UNKNOWN = -1;
/** `struct scmp_arg_cmp`, seccomp_rule_add(3). */
const COMPARISON = { argument: 0, operator: 4, first: 8, second: 16, size: 24 } as const;

/** SCMP_FLTATR_CTL_OPTIMIZE, seccomp_attr_set(3); 2 is a binary tree by number. */
const OPTIMIZE = 8;
const BINARY_TREE = 2;
/** The tree has four calls at each leaf, and libseccomp 2.5.4 can't make one of none. */
const WORTH_A_TREE = 32;

/** A profile, compiled. */
export interface CompiledProfile {
  /** An array of `struct sock_filter`. */
  readonly program: Uint8Array;
  /** Names that libseccomp doesn't know. */
  readonly unknown: readonly string[];
  /** libseccomp's, such as `2.5.4`. */
  readonly version: string;
  /** Where libseccomp was found. */
  readonly library: string | undefined;
}

/**
 * Compiles a profile with libseccomp, and puts the stub before it that answers ENOSYS to system
 * calls newer than the profile.
 *
 * @param profile valid
 * @throws Error in one line when libseccomp is not on this machine, or refuses a part
 */
export function compileProfile(profile: Seccomp): CompiledProfile {
  const filter = new Filter(profile);
  try {
    filter.addArchitectures();
    filter.addRules();
    const program = Buffer.concat([filter.stub(), filter.program()]);
    const count = program.byteLength / SIZE_OF_INSTRUCTION;
    if (count > MOST_INSTRUCTIONS)
      throw new Error(
        `the profile needs ${count} instructions, the kernel takes ${MOST_INSTRUCTIONS}: name fewer architectures or conditions  [/linux/seccomp]`,
      );
    const { unknown, version } = filter;
    return { program, unknown, version, library: libraryPath() };
  } finally {
    filter.release();
  }
}

/** The name under which the loaded library was found: it leads to another when that is replaced. */
function libraryPath(): string | undefined {
  const maps = readFileSync('/proc/self/maps', 'utf8');
  const file = /^.* (\/.*\/libseccomp\.so\.2[^/\n]*)$/m.exec(maps)?.[1];
  return file === undefined ? undefined : join(dirname(file), NAME);
}

let library: SharedLibrary | undefined;

function load(): SharedLibrary {
  try {
    library ??= SharedLibrary.load(NAME);
    return library;
  } catch (cause) {
    if (!(cause instanceof LibraryMissing)) throw cause;
    throw new Error(
      `a seccomp profile needs libseccomp: ${cause.message}; install the package libseccomp2 (Debian, Ubuntu) or libseccomp (Fedora)  [/linux/seccomp]`,
      { cause },
    );
  }
}

/** One of libseccomp's filters under way. */
class Filter {
  readonly #library = load();
  readonly #profile: Seccomp;
  readonly #context: number;
  readonly #default: number;
  /** libseccomp's numbers of the architectures, the machine's own first. */
  readonly #architectures: number[];
  readonly version: string;
  unknown: readonly string[] = [];

  constructor(profile: Seccomp) {
    this.#profile = profile;
    this.#default = actionOf(profile.defaultAction, profile.defaultErrnoRet);
    const [version = 0, native = 0, context = 0] = this.#library.call([
      { name: 'seccomp_version', args: [] },
      { name: 'seccomp_arch_native', args: [] },
      { name: 'seccomp_init', args: [this.#default] },
    ]);
    const numbers = port().memory(version, 12);
    this.version = [...new Uint32Array(numbers.slice().buffer)].join('.');
    this.#architectures = [native % 2 ** 32];
    this.#context = context;
    if (context === 0)
      throw new Error(
        `libseccomp ${this.version} or the kernel does not know ${profile.defaultAction}  [/linux/seccomp/defaultAction]`,
      );
  }

  release(): void {
    this.#ints([{ name: 'seccomp_release', args: [this.#context] }]);
  }

  addArchitectures(): void {
    const names = this.#profile.architectures ?? [];
    const numbers = this.#ints(
      names.map((name) => ({
        name: 'seccomp_arch_resolve_name',
        args: [name.replace(/^SCMP_ARCH_/, '').toLowerCase()],
      })),
    ).map((number) => number >>> 0);
    for (const [i, number] of numbers.entries())
      if (number === 0)
        throw new Error(
          `libseccomp ${this.version} does not know ${names[i]}: leave it out, or install a newer libseccomp  [/linux/seccomp/architectures/${i}]`,
        );
    const results = this.#ints(
      numbers.map((number) => ({ name: 'seccomp_arch_add', args: [this.#context, number] })),
    );
    for (const [i, result] of results.entries())
      if (result < 0 && result !== -EEXIST)
        throw this.#refused(`cannot add ${names[i]}`, result, `/architectures/${i}`);
    this.#architectures.push(...numbers);
  }

  addRules(): void {
    const { syscalls = [] } = this.#profile;
    const names = [...new Set(syscalls.flatMap((rule) => rule.names))];
    const numbers = this.#ints(
      names.map((name) => ({ name: 'seccomp_syscall_resolve_name', args: [name] })),
    );
    this.unknown = names.filter((_, i) => numbers[i] === UNKNOWN);
    const known = new Map(names.map((name, i) => [name, numbers[i] as number]));
    const rules = syscalls.flatMap((rule, i) =>
      // libseccomp refuses a rule that says the same as the default.
      actionOf(rule.action, rule.errnoRet) === this.#default
        ? []
        : rule.names.flatMap((name, j) => {
            const number = known.get(name);
            const pointer = `/syscalls/${i}/names/${j}`;
            return number === undefined || number === UNKNOWN
              ? []
              : this.#rulesFor(rule, number).map((call) => ({ name, pointer, call }));
          }),
    );
    if (rules.length > WORTH_A_TREE)
      this.#ints([{ name: 'seccomp_attr_set', args: [this.#context, OPTIMIZE, BINARY_TREE] }]);
    const results = this.#ints(rules.map(({ call }) => call));
    for (const [i, { name, pointer }] of rules.entries())
      if ((results[i] as number) < 0)
        throw this.#refused(`cannot add the rule for ${name}`, results[i] as number, pointer);
  }

  /** libseccomp takes each argument once in a rule; conditions on the same one become rules of their own. */
  #rulesFor({ action, errnoRet, args = [] }: SeccompSyscall, number: number): LibraryCall[] {
    const distinct = new Set(args.map(({ index }) => index)).size === args.length;
    const rules = distinct ? [args] : args.map((condition) => [condition]);
    return rules.map((conditions) => ({
      name: 'seccomp_rule_add_array',
      args: [
        this.#context,
        actionOf(action, errnoRet),
        number,
        conditions.length,
        conditions.length === 0 ? 0 : comparisons(conditions),
      ],
    }));
  }

  /** What goes before the filter; nothing when it lets unknown system calls through anyway. */
  stub(): Uint8Array {
    const { defaultAction, syscalls = [] } = this.#profile;
    const allows = ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'].includes(defaultAction);
    if (allows || this.#default === (ACTIONS.SCMP_ACT_ERRNO | ENOSYS)) return new Uint8Array();
    const names = [...new Set(syscalls.flatMap((rule) => rule.names))];
    const newest = [...new Set(this.#architectures)].map((architecture): Newest => {
      const numbers = this.#ints(
        names.map((name) => ({
          name: 'seccomp_syscall_resolve_name_arch',
          args: [architecture, name],
        })),
      );
      return { architecture, number: Math.max(0, ...numbers) };
    });
    return enosysStub(newest.filter(({ number }) => number > 0));
  }

  program(): Uint8Array {
    const file = syscall('memfd_create', 'seccomp', MFD_CLOEXEC);
    try {
      const [result = 0] = this.#ints([
        { name: 'seccomp_export_bpf', args: [this.#context, file] },
      ]);
      if (result < 0) throw this.#refused('cannot compile the profile', result, '');
      const program = Buffer.alloc(fstatSync(file).size);
      readSync(file, program, 0, program.byteLength, 0);
      return program;
    } finally {
      closeSync(file);
    }
  }

  /** Calls functions that return an `int`. */
  #ints(calls: readonly LibraryCall[]): number[] {
    return this.#library.call(calls).map((result) => result | 0);
  }

  #refused(what: string, result: number, pointer: string): Error {
    return new Error(
      `libseccomp ${this.version} ${what}: ${explainErrno(-result)}  [/linux/seccomp${pointer}]`,
    );
  }
}

/** An action as kernel and libseccomp have it. */
function actionOf(action: SeccompAction, errno: number = EPERM): number {
  const takesErrno = action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE';
  return ACTIONS[action] + (takesErrno ? errno : 0);
}

function comparisons(conditions: readonly SeccompArgument[]): Uint8Array {
  const bytes = new Uint8Array(COMPARISON.size * conditions.length);
  const view = new DataView(bytes.buffer);
  for (const [i, { index, op, value, valueTwo = 0 }] of conditions.entries()) {
    const at = COMPARISON.size * i;
    view.setUint32(at + COMPARISON.argument, index, true);
    view.setUint32(at + COMPARISON.operator, OPERATORS[op], true);
    writeWord(view, at + COMPARISON.first, value);
    writeWord(view, at + COMPARISON.second, valueTwo);
  }
  return bytes;
}
