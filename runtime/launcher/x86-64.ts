/**
 * The launcher: the executable that engines call as `scow`, a static ELF file of a few KiB.
 *
 * A JavaScript engine changes its process before the first line of a program runs (it raises
 * RLIMIT_NOFILE, obeys environment variables). The launcher comes before it, does what can't be
 * done later, and becomes the engine: same process, same arguments, same descriptors, signal
 * dispositions and mask. Unlike init (straight-line code that a plan dictates) it is a small
 * program with loops. Each of its buffers has room for the longest path.
 */
import { absolute, at, CC, R } from '../linux/x86-64/assembler.ts';
import { NUMBERS } from '../linux/x86-64/numbers.ts';
import { DROPPED_PREFIXES, ENGINE_SETTING, NOFILE_VARIABLE } from './environment.ts';
import { SmallProgram } from './small-program.ts';

const RLIMIT_NOFILE = 7;
const PATH_MAX = 4096;
const STDERR = 2;
const ENOENT = 2;
const ENOEXEC = 8;
const EACCES = 13;

/** The exit status of a shell that can't find a command. */
const EXIT_NOT_FOUND = 127;

const SLASH = 0x2f;

/** Causes worth more than a number, by errno. */
const REASONS: readonly [number, string][] = [
  [ENOENT, 'no such file; it belongs beside this command: build or install both again'],
  [ENOEXEC, 'not a program for this machine: build or install it again'],
  [EACCES, 'permission denied'],
];

/**
 * Assembles the launcher.
 *
 * @param engine the name of the file to execute, in the launcher's own folder
 * @returns an executable ELF file for x86-64
 */
export function assembleLauncher(engine: string): Uint8Array {
  return new Launcher().assemble(engine);
}

/** Registers that keep their meaning from the start to the end, and the errno of a failure. */
const ARGUMENTS = R.rbx;
const ENVIRONMENT = R.r12;
const ERROR = R.rbp;

class Launcher {
  private readonly program = new SmallProgram();
  private readonly a = this.program.a;
  private readonly self = this.program.text('/proc/self/exe');
  private readonly path = this.program.reserve(2 * PATH_MAX);
  private readonly message = this.program.reserve(3 * PATH_MAX);
  private readonly startsWith = this.a.newLabel();
  private readonly fail = this.a.newLabel();

  assemble(engine: string): Uint8Array {
    this.findArguments();
    this.rewriteEnvironment(this.makeNofileVariable());
    this.leaveDeletedFolder();
    this.findEngine(engine);
    this.execute();
    this.emitFail();
    this.emitStartsWith();
    return this.program.finish();
  }

  /** The kernel starts a program with argc, argv…, 0, envp…, 0 on its stack. */
  private findArguments(): void {
    const { a } = this;
    const next = a.newLabel();
    a.address(ARGUMENTS, at(R.rsp, 8));
    a.move(ENVIRONMENT, ARGUMENTS);
    a.bind(next);
    a.load(R.rax, at(ENVIRONMENT));
    a.add(ENVIRONMENT, 8);
    a.compare(R.rax, 0);
    a.jumpIf(CC.notEqual, next);
  }

  /** Makes `SCOW_NOFILE=soft:hard`; its address is returned. */
  private makeNofileVariable(): number {
    const { a, program } = this;
    const limit = program.reserve(16);
    const variable = program.reserve(64);
    a.moveConstant(R.rdi, 0);
    a.moveConstant(R.rsi, RLIMIT_NOFILE);
    a.moveConstant(R.rdx, 0);
    a.moveConstant(R.r10, limit);
    program.systemCall(NUMBERS.prlimit64);
    a.moveConstant(R.rdi, variable);
    program.appendText(`${NOFILE_VARIABLE}=`);
    a.load(R.rax, absolute(limit));
    a.call(program.appendDecimal);
    program.appendText(':');
    a.load(R.rax, absolute(limit + 8));
    a.call(program.appendDecimal);
    return variable;
  }

  /**
   * Closes the gaps that dropped variables leave, and appends two. If none was dropped, this
   * overwrites the first words of the auxiliary vector, which nobody reads.
   */
  private rewriteEnvironment(variable: number): void {
    const { a } = this;
    const next = a.newLabel();
    const end = a.newLabel();
    const from = R.r13;
    const to = R.r14;
    a.move(from, ENVIRONMENT);
    a.move(to, ENVIRONMENT);
    a.bind(next);
    a.load(R.rsi, at(from));
    a.add(from, 8);
    a.compare(R.rsi, 0);
    a.jumpIf(CC.equal, end);
    for (const prefix of [...DROPPED_PREFIXES, `${NOFILE_VARIABLE}=`]) {
      a.moveConstant(R.rdi, this.program.text(prefix));
      a.call(this.startsWith);
      a.jumpIf(CC.equal, next);
    }
    a.store(at(to), R.rsi);
    a.add(to, 8);
    a.jump(next);
    a.bind(end);
    a.moveConstant(R.rax, variable);
    a.store(at(to), R.rax);
    a.moveConstant(R.rax, this.program.text(ENGINE_SETTING));
    a.store(at(to, 8), R.rax);
    a.moveConstant(R.rax, 0);
    a.store(at(to, 16), R.rax);
  }

  /**
   * Bun refuses to start in a folder that was deleted, and shims call `delete` from such folders.
   * In /proc nothing can be created, so a relative path is still an error.
   */
  private leaveDeletedFolder(): void {
    const { a } = this;
    const exists = a.newLabel();
    a.moveConstant(R.rdi, this.program.reserve(PATH_MAX));
    a.moveConstant(R.rsi, PATH_MAX);
    this.program.systemCall(NUMBERS.getcwd);
    a.compare(R.rax, -ENOENT);
    a.jumpIf(CC.notEqual, exists);
    a.moveConstant(R.rdi, this.program.text('/proc'));
    this.program.systemCall(NUMBERS.chdir);
    a.bind(exists);
  }

  /** Makes the engine's path: this file's own, with another last component. */
  private findEngine(engine: string): void {
    const { a } = this;
    const found = a.newLabel();
    const next = a.newLabel();
    const other = a.newLabel();
    a.moveConstant(R.rdi, this.self);
    a.moveConstant(R.rsi, this.path);
    a.moveConstant(R.rdx, PATH_MAX);
    this.program.systemCall(NUMBERS.readlink);
    // Errors are negative: as an unsigned number, above any length.
    a.compare(R.rax, PATH_MAX);
    a.jumpIf(CC.below, found);
    this.failWith("scow: can't find its own folder by ", this.self);
    a.bind(found);
    // The path ends where zeroed memory goes on. rdi follows the last slash that rcx has passed.
    a.moveConstant(R.rcx, this.path);
    a.bind(next);
    a.loadByte(R.rax, at(R.rcx));
    a.add(R.rcx, 1);
    a.compare32(R.rax, SLASH);
    a.jumpIf(CC.notEqual, other);
    a.move(R.rdi, R.rcx);
    a.bind(other);
    a.compare32(R.rax, 0);
    a.jumpIf(CC.notEqual, next);
    this.program.appendText(engine);
  }

  /** Becomes the engine; goes on only if that failed. */
  private execute(): void {
    const { a } = this;
    a.moveConstant(R.rdi, this.path);
    a.move(R.rsi, ARGUMENTS);
    a.move(R.rdx, ENVIRONMENT);
    this.program.systemCall(NUMBERS.execve);
    this.failWith("scow: can't run ", this.path);
  }

  /** Ends with a message about the path and the error in rax. */
  private failWith(what: string, path: number): void {
    const { a, program } = this;
    a.negate(R.rax);
    a.move(ERROR, R.rax);
    a.moveConstant(R.rdi, this.message);
    program.appendText(what);
    a.moveConstant(R.rsi, path);
    a.call(program.append);
    program.appendText(': ');
    a.jump(this.fail);
  }

  /** Completes the message that rdi is the end of with the reason, writes it and exits. */
  private emitFail(): void {
    const { a, program } = this;
    const known = a.newLabel();
    const complete = a.newLabel();
    a.bind(this.fail);
    for (const [errno, reason] of REASONS) {
      a.moveConstant(R.rsi, program.text(reason));
      a.compare(ERROR, errno);
      a.jumpIf(CC.equal, known);
    }
    program.appendText('error ');
    a.move(R.rax, ERROR);
    a.call(program.appendDecimal);
    a.jump(complete);
    a.bind(known);
    a.call(program.append);
    a.bind(complete);
    program.appendText('\n');
    program.write(STDERR, this.message, NUMBERS.write);
    a.moveConstant(R.rdi, EXIT_NOT_FOUND);
    program.systemCall(NUMBERS.exit_group);
  }

  /** Subroutine: are the bytes at rsi those of the text at rdi, as far as it goes? (equal flag) */
  private emitStartsWith(): void {
    const { a } = this;
    const next = a.newLabel();
    const end = a.newLabel();
    a.bind(this.startsWith);
    a.move(R.rcx, R.rsi);
    a.bind(next);
    a.loadByte(R.rax, at(R.rdi));
    a.compare32(R.rax, 0);
    a.jumpIf(CC.equal, end);
    a.loadByte(R.rdx, at(R.rcx));
    a.add(R.rdi, 1);
    a.add(R.rcx, 1);
    a.compareRegisters(R.rax, R.rdx);
    a.jumpIf(CC.equal, next);
    a.bind(end);
    a.return();
  }
}
