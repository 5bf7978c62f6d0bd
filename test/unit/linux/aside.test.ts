import { readdirSync, readFileSync } from 'node:fs';
import { Aside } from '../../../runtime/linux/aside.ts';
import { CallTable } from '../../../runtime/linux/call-table.ts';
import { SharedLibrary } from '../../../runtime/linux/library.ts';
import { pipe } from '../../../runtime/linux/socket.ts';
import { batch, type Call } from '../../../runtime/linux/syscall.ts';

const threads = () => readdirSync('/proc/self/task');

let aside: Aside;
beforeEach(() => {
  aside = new Aside();
});
afterEach(() => aside.end());

function tableOf(...calls: readonly Call[]): CallTable {
  const table = new CallTable(calls.length);
  for (const { name, args, stopOnError } of calls)
    table.addSystemCall(name, args, stopOnError === true);
  return table;
}

test('calls are made while the caller goes on', () => {
  const [reader, writer] = pipe();
  const bytes = new Uint8Array(3);
  const table = tableOf(
    { name: 'read', args: [reader, bytes, 3] },
    { name: 'close', args: [reader] },
  );
  aside.submit(table);
  // Had the read not been made aside, this line would not be reached.
  batch([{ name: 'write', args: [writer, Buffer.from('abc'), 3] }]);
  aside.wait();
  expect(table.results()).toEqual([3, 0]);
  expect(Buffer.from(bytes).toString()).toBe('abc');
  batch([{ name: 'close', args: [writer] }]);
});

test('later calls use results of those that are still under way', () => {
  const bytes = new Uint8Array(4);
  const table = tableOf({ name: 'openat', args: [-100, '/proc/self/exe', 0, 0] });
  aside.submit(table);
  const fd = { resultOf: 0, table };
  const later = tableOf(
    { name: 'pread64', args: [fd, bytes, 4, 0] },
    { name: 'close', args: [fd] },
  );
  aside.submit(later);
  aside.wait();
  expect(later.results()).toEqual([4, 0]);
  expect(Buffer.from(bytes).toString('latin1')).toBe('\x7fELF');
});

test('a call that fails ends its own table only', () => {
  const first = tableOf(
    { name: 'close', args: [-1], stopOnError: true },
    { name: 'getpid', args: [] },
  );
  const second = tableOf({ name: 'getpid', args: [] });
  aside.submit(first);
  aside.submit(second);
  aside.wait();
  expect([first.results(), second.results()]).toEqual([[-9], [process.pid]]);
  expect([first.succeeded, second.succeeded]).toEqual([false, true]);
});

test('a table can be filled anew, and with more than it had room for', () => {
  const ends = new Int32Array(2);
  const table = tableOf({ name: 'pipe2', args: [new Uint8Array(ends.buffer), 0] });
  aside.submit(table);
  aside.wait();
  table.clear();
  expect(table.results()).toEqual([]);
  const calls = 100;
  table.addSystemCall('openat', [-100, '/proc/self/exe', 0, 0], true);
  for (let i = 0; i < calls; i++) table.addSystemCall('lseek', [{ resultOf: 0 }, i, 0], true);
  table.addSystemCall('close', [{ resultOf: 0 }], true);
  expect(table.argument(7, 1)).toBe(6);
  aside.submit(table);
  aside.wait();
  const [fd, ...results] = table.results();
  expect(table.argument(7, 0)).toBe(fd);
  expect(results).toEqual([...Array(calls).keys(), 0]);
  for (const end of ends) batch([{ name: 'close', args: [end] }]);
});

test('functions of libraries are called aside too, with a stack of their own', () => {
  const libc = SharedLibrary.load('libc.so.6');
  const bytes = new Uint8Array(8);
  const table = new CallTable(2);
  table.addFunction(libc.address('memset'), [bytes, 0x61, 7]);
  table.addFunction(libc.address('strlen'), [bytes]);
  aside.submit(table);
  aside.wait();
  expect(table.result(1)).toBe(7);
});

test('the thread takes no signal, and ends when it is told to', () => {
  const before = threads();
  const another = new Aside();
  const [mine] = threads().filter((id) => !before.includes(id));
  const status = readFileSync(`/proc/self/task/${mine}/status`, 'latin1');
  expect(/^SigBlk:\s*(\w+)$/m.exec(status)?.[1]).toMatch(/^f{7,}/);
  another.end();
  expect(threads()).toEqual(before);
});
