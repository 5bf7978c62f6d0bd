import { LibraryMissing, SharedLibrary } from '../../../runtime/linux/library.ts';

test('functions take six integers and give 64 bits back', () => {
  const libc = SharedLibrary.load('libc.so.6');
  const [length, difference, wide] = libc.call([
    { name: 'strlen', args: ['seven'] },
    { name: 'strcmp', args: ['b', 'a'] },
    { name: 'strtoull', args: ['7fff00001234', 0, 16] },
  ]);
  expect([length, wide]).toEqual([5, 0x7fff00001234]);
  expect((difference as number) | 0).toBeGreaterThan(0);
  const text = Buffer.alloc(32);
  libc.call([{ name: 'snprintf', args: [text, text.byteLength, '%d %d %d', 4, 5, 6] }]);
  expect(text.toString().replace(/\0+$/, '')).toBe('4 5 6');
});

test('a library that is not there, and a function that a library has not', () => {
  expect(() => SharedLibrary.load('libnothing.so.9')).toThrow(LibraryMissing);
  expect(() => SharedLibrary.load('libnothing.so.9')).toThrow(
    'libnothing.so.9: cannot open shared object file: No such file or directory',
  );
  const libc = SharedLibrary.load('libc.so.6');
  expect([libc.has('strlen'), libc.has('no_such_function')]).toEqual([true, false]);
  expect(() => libc.call([{ name: 'no_such_function', args: [] }])).toThrow('no_such_function');
});
