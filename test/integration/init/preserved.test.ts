import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  newId,
  running,
  scowWords,
  testDirectory,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

describe.each(ENGINES)('--preserve-fds (%s)', (engine) => {
  /** What a program has open from descriptor 3 on, called by a shell with these redirections. */
  function open(redirections: string, ...flags: string[]): string[] {
    const bundle = bundleOf(
      running('sh', '-c', 'for f in /proc/$$/fd/*; do readlink $f; done; true'),
    );
    const log = ['--log', join(testDirectory(), 'log')];
    const command = [...scowWords(engine), ...log];
    const { stdout, stderr, status } = spawnSync(
      'bash',
      [
        '-c',
        `"$@" ${redirections}`,
        'bash',
        ...command,
        'run',
        '--bundle',
        bundle,
        ...flags,
        newId(),
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    // The program's own script is open too.
    return stdout.trim().split('\n').slice(3);
  }

  test('hands down what the caller has, and nothing of the engine or of scow in the gaps', () => {
    const [a, b] = ['a', 'b'].map((name) => join(testDirectory(), name)) as [string, string];
    for (const file of [a, b]) writeFileSync(file, '');
    expect(open(`4<${a} 9<${b} 3<&- 5<&- 6<&- 7<&- 8<&-`, '--preserve-fds', '20')).toEqual([a, b]);
    expect(open(`4<${a} 9<${b} 3<&- 5<&- 6<&- 7<&- 8<&-`, '--preserve-fds=5')).toEqual([a]);
    expect(open(`4<${a} 9<${b}`)).toEqual([]);
  });

  test('of a caller that has none hands down none', () => {
    const none = Array.from({ length: 30 }, (_, i) => `${i + 3}<&-`).join(' ');
    expect(open(none, '--preserve-fds', '30')).toEqual([]);
  });

  test('hands down sockets and pipes', () => {
    const found = open('3< <(sleep 0) 4> >(cat)', '--preserve-fds', '2');
    expect(found).toEqual([expect.stringMatching(/^pipe:/), expect.stringMatching(/^pipe:/)]);
  });
});
