import { spawnSync } from 'node:child_process';
import { parseSignal } from '../../../runtime/container/signals.ts';

test('every signal that the shell knows has the same number', () => {
  const { stdout } = spawnSync('bash', ['-c', 'kill -l'], { encoding: 'utf8' });
  const known = [...stdout.matchAll(/(\d+)\) (SIG[A-Z0-9+-]+)/g)];
  expect(known.length).toBeGreaterThan(60);
  for (const [, number = '', name = ''] of known) {
    expect([name, parseSignal(name)]).toEqual([name, Number(number)]);
    expect(parseSignal(name.slice(3).toLowerCase())).toBe(Number(number));
    expect(parseSignal(number)).toBe(Number(number));
  }
});

test('aliases, real-time signals from either end, and 0', () => {
  const names = ['CLD', 'IOT', 'POLL', 'SIGRTMIN+30', 'RTMAX-30', 'rtmin+3', '0', '09'];
  expect(names.map(parseSignal)).toEqual([17, 6, 29, 64, 34, 37, 0, 9]);
});

test.each(['', 'FOO', 'SIG', 'SIGSIGTERM', '65', '-9', '9x', 'RTMIN-1', 'RTMIN+31', 'RTMAX+1'])(
  '%j is refused',
  (text) => {
    expect(() => parseSignal(text)).toThrow(/^unknown signal ".*": give a name such as/);
  },
);
