import { both, output, portable, shell } from '../../helpers/container.ts';
import { cleanUp, ENGINES } from '../../helpers/scow.ts';
import { asUser, confined, gaining } from './calls.ts';
import { ORDINARY } from './profile.ts';

afterEach(cleanUp);

const SCRIPT = `
  (echo a; echo b) | sort -r; cd /dev/shm; mkdir d && mv d e && rmdir e; sleep 0.01 & wait
  grep -E '^(NoNewPrivs|Seccomp|Seccomp_filters|CapEff):' /proc/self/status
  unshare -n true; chroot / true; hostname x; date -s 2000-01-01 >/dev/null; linux32 true && echo 32
`;

describe.each([...ENGINES, 'runc'] as const)('an ordinary profile (%s)', (runtime) => {
  const cases = [0, 1000].flatMap((uid) => [true, false].map((gains) => [uid, gains] as const));

  test.each(cases)('user %i, privileges can be gained: %s', (uid, gains) => {
    const script = shell(`exec 2>&1; ${SCRIPT}`);
    const all = both(portable, script, confined(ORDINARY), asUser(uid), gaining(gains));
    expect(output(runtime, all).trimEnd().split('\n')).toEqual([
      'b',
      'a',
      `CapEff:\t${uid === 0 ? '0000000020000420' : '0000000000000000'}`,
      `NoNewPrivs:\t${gains ? 0 : 1}`,
      'Seccomp:\t2',
      'Seccomp_filters:\t1',
      expect.stringMatching(/^unshare: .*Operation not permitted$/),
      expect.stringMatching(/^chroot: .*Operation not permitted$/),
      expect.stringMatching(/^hostname: .*Operation not permitted$/),
      expect.stringMatching(/^date: .*Operation not permitted$/),
      '32',
    ]);
  });
});
