import { SmallProgram } from '../../dist/runtime/launcher/small-program.js';
import { at, R } from '../../dist/runtime/linux/x86-64/assembler.js';
import { NUMBERS } from '../../dist/runtime/linux/x86-64/numbers.js';

const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'];
const PAGE_SIZE = 16384;
const STDOUT = 1;

/** Where uname(2) puts the hostname, and the size of all that it writes. */
const UTSNAME = { nodename: 65, size: 390 };

/**
 * Assembles the demo's program, which prints what it is and how it sees the world.
 *
 * @returns {Uint8Array} a static ELF file
 */
export function assembleDemoProgram() {
  const program = new SmallProgram();
  const { a } = program;
  const page = program.reserve(PAGE_SIZE);
  // The kernel starts a program with argc, argv… on its stack.
  a.move(R.rbx, R.rsp);
  a.moveConstant(R.rdi, page);
  program.appendText('\n  This is ');
  a.load(R.rsi, at(R.rbx, 8));
  a.call(program.append);
  program.appendText(
    ', a program that the assembler of scow wrote, alone in its image:\n' +
      '  unpacked by scow-bundle, started by scow, which is gone from here.\n\n' +
      '  pid        ',
  );
  program.systemCall(NUMBERS.getpid);
  a.call(program.appendDecimal);
  appendHostname(program);
  for (const name of NAMESPACES) appendNamespace(program, name);
  program.appendText('\n\n');
  program.write(STDOUT, page, NUMBERS.write);
  a.moveConstant(R.rdi, 0);
  program.systemCall(NUMBERS.exit_group);
  return program.finish();
}

/** @param {SmallProgram} program */
function appendHostname(program) {
  const { a } = program;
  const names = program.reserve(UTSNAME.size);
  program.appendText('\n  hostname   ');
  a.move(R.r12, R.rdi);
  a.moveConstant(R.rdi, names);
  program.systemCall(NUMBERS.uname);
  a.move(R.rdi, R.r12);
  a.moveConstant(R.rsi, names + UTSNAME.nodename);
  a.call(program.append);
}

/**
 * @param {SmallProgram} program
 * @param {string} name as in /proc/self/ns
 */
function appendNamespace(program, name) {
  const { a } = program;
  const size = 64;
  const link = program.reserve(size);
  program.appendText(name === NAMESPACES[0] ? '\n  namespaces ' : '\n             ');
  a.move(R.r12, R.rdi);
  a.moveConstant(R.rdi, program.text(`/proc/self/ns/${name}`));
  a.moveConstant(R.rsi, link);
  a.moveConstant(R.rdx, size - 1);
  program.systemCall(NUMBERS.readlink);
  a.move(R.rdi, R.r12);
  a.moveConstant(R.rsi, link);
  a.call(program.append);
}
