import { closeSync, readFileSync } from 'node:fs';
import { syscall } from '../../../runtime/linux/syscall.ts';
import { call, inherited, result, type Step } from '../../../runtime/plan/step.ts';
import { EXIT, ORIGIN, runSteps, say } from '../../helpers/init-program.ts';

/** Alternatives for what is not there. */
function first(...of: Step[][]): Step {
  return { kind: 'first', of, on: ['ENOENT'], ...ORIGIN };
}

describe('each', () => {
  function each(values: (number | string)[], ...of: Step[]): Step {
    const origin = (i: number) => ({ ...ORIGIN, pointer: `/values/${i}` });
    return { kind: 'each', as: 'value', values, of, origin, ...ORIGIN };
  }

  /** What steps wrote to their descriptor `out`, and how they ended. */
  function written(...steps: Step[]) {
    const out = syscall('memfd_create', 'out', 0);
    try {
      const outcome = runSteps(steps, { descriptors: { out } });
      return { text: readFileSync(`/proc/self/fd/${out}`, 'latin1'), outcome };
    } finally {
      closeSync(out);
    }
  }
  const writeValue = call('pwrite64', [inherited('out'), result('value'), 2, 0], ORIGIN);
  const append = call('write', [inherited('out'), result('value'), 2], ORIGIN);

  test('makes its steps for one value after the other', () => {
    const { text, outcome } = written(each(['a ', 'b ', 'c '], append), say('after'), EXIT);
    expect(text).toBe('a b c ');
    expect(outcome).toMatchObject({ said: ['after'], status: 0 });
  });

  test('has numbers as values, and the last one afterwards', () => {
    const { outcome } = written(
      each([7, -1, 40_000_000_000], {
        kind: 'set',
        result: 'copy',
        value: result('value'),
        ...ORIGIN,
      }),
      say('last', result('copy')),
      EXIT,
    );
    expect(outcome.said).toEqual(['last=40000000000']);
  });

  test('may come more than once', () => {
    const { text } = written(
      each(['a ', 'b '], append),
      each(['c '], append, append),
      each(['d '], writeValue),
      EXIT,
    );
    expect(text).toBe('d b c c ');
  });

  test.each([
    [['/no such directory', '/'], 3],
    [['/', '/no such directory', '/'], 5],
    [['/', '/', '/no such directory'], 7],
  ])('of %j says by its number which one failed', (values, number) => {
    const steps = [
      each(values, call('chdir', [result('value')], ORIGIN), call('getpid', [], ORIGIN)),
    ];
    const { outcome } = written(say('before'), ...steps, say('after'), EXIT);
    expect(outcome).toMatchObject({
      said: ['before'],
      failed: `${number} ENOENT`,
      progress: { step: number, errno: 2 },
    });
  });

  test('leaves its numbers behind it', () => {
    const { outcome } = written(
      each(['/', '/', '/'], call('chdir', [result('value')], ORIGIN)),
      call('close', [-1], ORIGIN),
    );
    expect(outcome.failed).toBe('5 EBADF');
  });

  test('chooses among alternatives anew for each', () => {
    const entered = [call('chdir', [result('value')], ORIGIN), append];
    const { text, outcome } = written(
      each(['/proc', '/no', '/sys', '/no'], first(entered, [])),
      EXIT,
    );
    expect(text).toBe('/p/s');
    expect(outcome.status).toBe(0);
  });

  test('fails within alternatives with the number of that value', () => {
    const steps = each(
      ['/', '/proc/self/status'],
      first([call('chdir', [result('value')], ORIGIN)], []),
    );
    expect(written(steps, EXIT).outcome.failed).toBe('5 ENOTDIR');
  });
});
