import { readdirSync, readFileSync } from 'node:fs';
import { Aside } from '../../../runtime/linux/aside.ts';
import { batch } from '../../../runtime/linux/syscall.ts';

const threads = () => readdirSync('/proc/self/task');

let aside: Aside;
beforeEach(() => {
  aside = new Aside();
});
afterEach(() => aside.end());

/** A pipe: its reading and its writing end. */
function pipe(): [number, number] {
  const ends = new Int32Array(2);
  expect(batch([{ name: 'pipe2', args: [new Uint8Array(ends.buffer), 0] }])).toEqual([0]);
  return [ends[0] as number, ends[1] as number];
}

test('calls are made while the caller goes on', () => {
  const [reader, writer] = pipe();
  const bytes = new Uint8Array(3);
  const submitted = aside.submit([
    { name: 'read', args: [reader, bytes, 3] },
    { name: 'close', args: [reader] },
  ]);
  // Had the read not been made aside, this line would not be reached.
  batch([{ name: 'write', args: [writer, Buffer.from('abc'), 3] }]);
  expect(submitted.results()).toEqual([3, 0]);
  expect(Buffer.from(bytes).toString()).toBe('abc');
  batch([{ name: 'close', args: [writer] }]);
});

test('later calls use results of those that are still under way', () => {
  const bytes = new Uint8Array(4);
  const { table } = aside.submit([{ name: 'openat', args: [-100, '/proc/self/exe', 0, 0] }]);
  const fd = { resultOf: 0, table };
  const later = aside.submit([
    { name: 'pread64', args: [fd, bytes, 4, 0] },
    { name: 'close', args: [fd] },
  ]);
  expect(later.results()).toEqual([4, 0]);
  expect(Buffer.from(bytes).toString('latin1')).toBe('\x7fELF');
});

test('a call that fails ends its own table only', () => {
  const first = aside.submit([
    { name: 'close', args: [-1], stopOnError: true },
    { name: 'getpid', args: [] },
  ]);
  const second = aside.submit([{ name: 'getpid', args: [] }]);
  expect([first.results(), second.results()]).toEqual([[-9], [process.pid]]);
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
