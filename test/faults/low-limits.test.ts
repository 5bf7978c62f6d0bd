/** Limits so low that init itself could not work under them: they are the program's alone. */
import { spawnSync } from 'node:child_process';
import { bundleOf, cleanUp, ENGINES, newId, running, scow, scowWords } from '../helpers/scow.ts';

afterEach(cleanUp);

const SHOW = ['sh', '-c', 'ulimit -Sn; ulimit -Hn'];

describe.each(ENGINES)('a limit of open files (%s)', (engine) => {
  test.each([
    [4, 4],
    [16, 20],
    [64, 4096],
  ])('of the configuration, %i at most %i', (soft, hard) => {
    const bundle = bundleOf((config) => {
      running(...SHOW)(config);
      if (config.process) config.process.rlimits = [{ type: 'RLIMIT_NOFILE', soft, hard }];
    });
    expect(scow(['run', '-b', bundle, newId()], { engine })).toMatchObject({
      status: 0,
      stdout: `${soft}\n${hard}\n`,
      stderr: '',
    });
  });

  test('of the caller, and an ordinary user in the container', () => {
    const bundle = bundleOf((config) => {
      running(...SHOW)(config);
      if (!config.process) return;
      config.process.rlimits = [];
      config.process.user = { uid: 1000, gid: 1000 };
    });
    const { status, stdout, stderr } = spawnSync(
      'bash',
      [
        '-c',
        'ulimit -Sn 20; "$@"; exit $?',
        'bash',
        ...scowWords(engine),
        ...['run', '-b', bundle, newId()],
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^20\n\d+\n$/);
  });
});
