import { batch, SyscallError, syscall } from '../../../runtime/linux/syscall.ts';

test('a system call returns what the kernel returns', () => {
  expect(syscall('getpid')).toBe(process.pid);
});

test('an error carries the call, its arguments and the name of its errno', () => {
  const attempt = () => syscall('openat', -100, '/does/not/exist', 0, 0);
  expect(attempt).toThrow(SyscallError);
  expect(attempt).toThrow(
    'openat(-100, "/does/not/exist", 0, 0): no such file or directory (ENOENT)',
  );
});

test('a call of a batch uses the result of an earlier one', () => {
  const text = new Uint8Array(5);
  const [fd, count, closed] = batch([
    { name: 'openat', args: [-100, '/proc/self/stat', 0, 0] },
    { name: 'read', args: [{ resultOf: 0 }, text, 5] },
    { name: 'close', args: [{ resultOf: 0 }] },
  ]);
  expect(fd).toBeGreaterThan(2);
  expect(count).toBe(5);
  expect(closed).toBe(0);
  expect(`${process.pid} (`.startsWith(Buffer.from(text).toString())).toBe(true);
});

test('a batch stops at a failed call that asks for it', () => {
  const results = batch([
    { name: 'close', args: [-1], stopOnError: true },
    { name: 'getpid', args: [] },
  ]);
  expect(results).toEqual([-9]);
});

test('addresses and offsets beyond 32 bits survive the way to the kernel and back', () => {
  const address = syscall('mmap', 0x7000_0000_0000, 4096, 3, 0x22, -1, 0);
  expect(address).toBe(0x7000_0000_0000);
  expect(syscall('munmap', address, 4096)).toBe(0);
});
