import {
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { launch } from '../../../runtime/init/launch.ts';
import { AT, CLONE, MFD, O } from '../../../runtime/linux/constants.ts';
import { errnoName } from '../../../runtime/linux/errno.ts';
import { syscall, trySyscall } from '../../../runtime/linux/syscall.ts';
import { call, result, type Step } from '../../../runtime/plan/step.ts';
import { EXIT, InitProgram, ORIGIN, type ProgramOptions, say } from '../../helpers/init-program.ts';

const F_GET_SEALS = 1034;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

const WAIT: Step = { kind: 'report', point: 'born', answer: {}, ...ORIGIN };

/** Runs a program that waits, and looks at it meanwhile. */
function born<T>(options: ProgramOptions, look: (program: InitProgram) => T, ...more: Step[]): T {
  const program = new InitProgram([WAIT, ...more, EXIT], options);
  try {
    program.reached('born');
    return look(program);
  } finally {
    program.close();
  }
}

/** The descriptors of a process, by what procfs says that they are. */
function descriptorsOf(pid: number | 'self'): Record<string, string> {
  const directory = `/proc/${pid}/fd`;
  const found = readdirSync(directory).flatMap((fd): [string, string][] => {
    try {
      return [[fd, readlinkSync(`${directory}/${fd}`).replace(/^socket:.*/, 'socket')]];
    } catch {
      return []; // The one that reads the directory.
    }
  });
  return Object.fromEntries(found);
}

/** The errno name of what fails, or «done». */
function attempt(action: () => void): string {
  try {
    action();
    return 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function memfd(name: string): number {
  return syscall('memfd_create', name, MFD.CLOEXEC);
}

/** What the new process has, seen from outside while it waits. */
function birth() {
  const [extra, more] = [memfd('extra'), memfd('more')];
  const leaked = openSync('/dev/null', 'r');
  const inheritable = syscall('fcntl', leaked, 0, 0);
  try {
    return born({ descriptors: { extra, more } }, (program) => {
      const { 0: _, 1: __, 2: ___, ...descriptors } = descriptorsOf(program.pid);
      return {
        descriptors,
        arguments: program.proc('cmdline'),
        environment: program.proc('environ'),
        blocked: field(program, 'SigBlk'),
        caught: field(program, 'SigCgt'),
        parent: Number(field(program, 'PPid')) === process.pid,
        threads: field(program, 'Threads'),
        memory: Number.parseInt(field(program, 'VmRSS'), 10),
        pidfd: /^Pid:\t(\d+)$/m.exec(fdinfo(program.pidfd))?.[1] === String(program.pid),
        pidfdStaysHere: (trySyscall('fcntl', program.pidfd, 1, 0) & 1) === 1,
        sameDirectory: readlinkSync(`/proc/${program.pid}/cwd`) === process.cwd(),
      };
    });
  } finally {
    for (const fd of [extra, more, leaked, inheritable]) closeSync(fd);
  }
}

function field(program: InitProgram, name: string): string {
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(program.proc('status'))?.[1] ?? '';
}

function fdinfo(fd: number): string {
  return readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
}

/** Whether scow itself is as it was before it launched something. */
function afterwards() {
  const mask = () => /^SigBlk:.*$/m.exec(readFileSync('/proc/thread-self/status', 'latin1'))?.[0];
  born({}, () => {});
  const before = { descriptors: descriptorsOf('self'), mask: mask() };
  born({}, () => {});
  const after = { descriptors: descriptorsOf('self'), mask: mask() };
  return { before, after };
}

/** What can be done to the program's file while it runs, and later (CVE-2019-5736). */
function executable() {
  let readable = -1;
  const running = born({}, (program) => {
    const exe = `/proc/${program.pid}/exe`;
    readable = openSync(exe, 'r');
    return {
      path: readlinkSync(exe),
      seals: syscall('fcntl', readable, F_GET_SEALS, 0),
      openForWriting: attempt(() => closeSync(openSync(exe, 'r+'))),
      truncate: attempt(() => writeFileSync(exe, '')),
    };
  });
  const file = `/proc/self/fd/${readable}`;
  const before = readFileSync(file);
  const again = openSync(file, 'r+');
  const map = (fd: number) =>
    trySyscall('mmap', 0, 4096, PROT_WRITE, MAP_SHARED, fd, 0) < 0 ? 'refused' : 'done';
  const later = {
    write: attempt(() => writeSync(again, 'x')),
    truncate: attempt(() => ftruncateSync(again, 0)),
    grow: attempt(() => ftruncateSync(again, 1 << 20)),
    map: map(again),
    same: readFileSync(file).equals(before),
  };
  for (const fd of [readable, again]) closeSync(fd);
  return { running, later };
}

/** The errno with which the program itself fails to open its file for writing. */
function ownExecutable(flags: number): string {
  const steps = [call('openat', [AT.FDCWD, '/proc/self/exe', flags, 0], ORIGIN), EXIT];
  const program = new InitProgram(steps);
  try {
    const { failed, status } = program.finish();
    return failed ?? `exit ${status}`;
  } finally {
    program.close();
  }
}

/** The namespaces, of those that were asked for, that are not scow's. */
function namespaces(): string[] {
  const flags = { uts: CLONE.NEWUTS, ipc: CLONE.NEWIPC, net: CLONE.NEWNET, pid: CLONE.NEWPID };
  const all = Object.values(flags).reduce((sum, flag) => sum + flag, 0);
  return born({ namespaces: all }, (program) =>
    readdirSync(`/proc/${program.pid}/ns`).filter(
      (name) =>
        readlinkSync(`/proc/${program.pid}/ns/${name}`) !== readlinkSync(`/proc/self/ns/${name}`),
    ),
  );
}

/** The numbers that many descriptors get, in the order of the list. */
function many(count: number, firstDescriptor: number): boolean {
  const own = Array.from({ length: count }, (_, i) => memfd(`number ${i}`));
  const descriptors = Object.fromEntries(own.map((fd, i) => [`d${i}`, fd]));
  try {
    return born({ descriptors, firstDescriptor }, (program) => {
      const found = descriptorsOf(program.pid);
      return own.every((_, i) => found[firstDescriptor + 2 + i] === `/memfd:number ${i} (deleted)`);
    });
  } finally {
    for (const fd of own) closeSync(fd);
  }
}

/** What a program has below its first descriptor, when one of scow's is preserved. */
function preserved(): string[] {
  const kept = memfd('kept');
  const lost = memfd('lost');
  const firstDescriptor = Math.max(kept, lost) + 3;
  try {
    return born({ firstDescriptor, preserved: [kept] }, (program) => {
      const { 0: _, 1: __, 2: ___, ...found } = descriptorsOf(program.pid);
      return Object.entries(found).map(([fd, what]) =>
        Number(fd) === kept ? `the same: ${what}` : `${Number(fd) - firstDescriptor}: ${what}`,
      );
    });
  } finally {
    for (const fd of [kept, lost]) closeSync(fd);
  }
}

/** What launch says of what it cannot start; nothing is left then. */
function refusals(namespaces: number) {
  const refusal = (made: Uint8Array | Error, descriptors: number[], cgroup?: number) => {
    const program = () => {
      if (made instanceof Error) throw made;
      return made;
    };
    try {
      launch({
        program,
        descriptors,
        firstDescriptor: 3,
        preserved: [],
        namespaces,
        cgroup,
      });
      return 'started';
    } catch (error) {
      return (error as Error).message;
    }
  };
  const before = descriptorsOf('self');
  const found = {
    garbage: refusal(Buffer.from('not a program'), []),
    empty: refusal(new Uint8Array(), []),
    descriptor: refusal(Buffer.from('x'), [999]),
    cgroup: refusal(Buffer.from('x'), [], 0),
    unmade: refusal(new Error('no program'), []),
  };
  const childless = errnoName(-trySyscall('wait4', -1, 0, 1, 0));
  return { found, childless, descriptors: { before, after: descriptorsOf('self') } };
}

/** How a program ends that is born in this cgroup, and where it is meanwhile. */
function inCgroup(path: string) {
  const cgroup = openSync(path, O.DIRECTORY | O.CLOEXEC);
  const program = new InitProgram([WAIT, EXIT], { cgroup });
  try {
    const message = program.next();
    if (message.kind === 'end') return { ...program.wait(), progress: program.progress() };
    return { cgroup: /^0::(.*)$/m.exec(program.proc('cgroup'))?.[1] };
  } finally {
    closeSync(cgroup);
    program.close();
  }
}

/** Runs a program that shows that it ran, and what it ran from. */
function plain() {
  const steps = [call('getpid', [], { ...ORIGIN, result: 'pid' }), say('pid', result('pid'))];
  let program: InitProgram;
  try {
    program = new InitProgram([...steps, WAIT, EXIT]);
  } catch (error) {
    return { error: (error as Error).message };
  }
  try {
    const pid = program.reached('pid');
    program.reached('born');
    const exe = `/proc/${program.pid}/exe`;
    const readable = openSync(exe, 'r');
    const outcome = {
      pid: pid === program.pid,
      writeWhileRunning: attempt(() => closeSync(openSync(exe, 'r+'))),
      file: readlinkSync(exe),
    };
    program.answer();
    const ending = program.wait();
    const writeLater = attempt(() => closeSync(openSync(`/proc/self/fd/${readable}`, 'r+')));
    closeSync(readable);
    return { ...outcome, ...ending, writeLater };
  } finally {
    program.close();
  }
}

/** Everything that can be observed, under either engine. */
export const OBSERVATIONS = {
  birth,
  afterwards,
  executable,
  ownExecutable,
  namespaces,
  many,
  preserved,
  refusals,
  inCgroup,
  plain,
};
