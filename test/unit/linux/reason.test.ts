import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { gunzipSync } from 'node:zlib';
import { codeOf, reason } from '../../../runtime/linux/reason.ts';
import { syscall } from '../../../runtime/linux/syscall.ts';

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('it succeeded');
}

test.each([
  ['node:fs', () => readFileSync('/nowhere')],
  ['a system call', () => syscall('openat', -100, '/nowhere', 0, 0)],
])('an error of %s is told by its errno', (_, action) => {
  const error = thrownBy(action);
  expect(reason(error)).toBe('no such file or directory (ENOENT)');
  expect(codeOf(error)).toBe('ENOENT');
});

test('what has no errno of the kernel speaks for itself', () => {
  expect(reason(new Error('the disk is on fire'))).toBe('the disk is on fire');
  expect(reason(runInNewContext('new Error("from elsewhere")'))).toBe('from elsewhere');
  // zlib has numbers of its own, some of which are an errno too.
  expect(reason(thrownBy(() => gunzipSync(Buffer.from('1f8b', 'hex'))))).toBe(
    'unexpected end of file',
  );
  expect(reason('a text')).toBe('a text');
  expect(reason(undefined)).toBe('undefined');
  expect(reason(null)).toBe('null');
});
