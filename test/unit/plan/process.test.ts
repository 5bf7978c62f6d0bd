import type { Step } from '../../../runtime/plan/step.ts';
import { callsOf, minimal, planOf, processOf, show } from '../../helpers/plans.ts';

describe('credentials', () => {
  const capabilities = {
    bounding: ['CAP_CHOWN', 'CAP_KILL'],
    permitted: ['CAP_CHOWN', 'CAP_CHECKPOINT_RESTORE'],
    effective: ['CAP_CHOWN'],
    inheritable: ['CAP_KILL'],
    ambient: ['CAP_KILL', 'CAP_CHOWN'],
  } as const;
  const user = { uid: 5, gid: 6, additionalGids: [7, 4_000_000_000] };
  const calls = (facts = {}) =>
    callsOf(planOf(minimal({ process: processOf({ capabilities, user }) }), facts).steps)
      .map(show)
      .filter((text) => /^(prctl\(PR_(CAP|SET_KEEP)|set(res|groups)|capset)/.test(text));

  test('bounding set, groups, gid, uid, the other sets, ambient ones', () => {
    const dropped = Array.from({ length: 41 }, (_, i) => i).filter((i) => i !== 0 && i !== 5);
    expect(calls()).toEqual([
      ...dropped.map((i) => `prctl(PR_CAPBSET_DROP, ${i}, 0, 0, 0)`),
      'prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)',
      'setgroups(2, {7, 4000000000})',
      'setresgid(6, 6, 6)',
      'setresuid(5, 5, 5)',
      'prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0)',
      `capset({${0x20080522}, 0}, {1, 1, ${1 << 5}, 0, ${1 << 8}, 0})`,
      'prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)',
      'prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 5, 0, 0)',
      'prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0, 0, 0)',
    ]);
  });

  test('only capabilities that the kernel has are dropped', () => {
    const drops = calls({ lastCapability: 37 }).filter((text) => text.includes('CAPBSET_DROP'));
    expect(drops).toHaveLength(36);
    expect(drops.at(-1)).toBe('prctl(PR_CAPBSET_DROP, 37, 0, 0, 0)');
  });

  test('none at all: every set is empty', () => {
    const names = callsOf(planOf(minimal()).steps).map(show);
    expect(names.filter((text) => text.includes('CAPBSET_DROP'))).toHaveLength(41);
    expect(names).toContain(`capset({${0x20080522}, 0}, {0, 0, 0, 0, 0, 0})`);
    expect(names).toContain('setgroups(0, 0)');
  });
});

describe('the program', () => {
  /** Where the program is looked for. */
  const candidates = (args: string[], env?: string[]) =>
    callsOf(planOf(minimal({ process: processOf({ args, ...(env && { env }) }) })).steps)
      .filter(({ name }, i, all) => name === 'faccessat2' && all[i + 1]?.name === 'statx')
      .map(({ args: [, path] }) => path);

  test.each([
    ['/bin/sh', ['PATH=/a:/b'], ['/bin/sh']],
    ['./run', ['PATH=/a'], ['./run']],
    ['sh', ['PATH=/a:/b/c'], ['/a/sh', '/b/c/sh']],
    ['sh', ['PATH=/a', 'PATH=/last'], ['/last/sh']],
    ['sh', ['PATH=/a::/b:'], ['/a/sh', './sh', '/b/sh', './sh']],
    [
      'sh',
      ['XPATH=/a'],
      ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'].map(
        (d) => `${d}/sh`,
      ),
    ],
    ['sh', ['PATH=relative'], ['relative/sh']],
  ])('%s with %p', (program, env, expected) => {
    expect(candidates([program], env)).toEqual(expected);
  });

  test('without any environment the usual places are searched', () => {
    expect(candidates(['sh'])).toHaveLength(6);
  });

  test('its environment gets a HOME unless it has one', () => {
    const envp = (env?: string[]) =>
      callsOf(planOf(minimal({ process: processOf(env ? { env } : {}) })).steps)
        .map(show)
        .at(-1)
        ?.replace(/^.*, /, '');
    const exec = (env?: string[]) =>
      show(planOf(minimal({ process: processOf(env ? { env } : {}) })).steps.at(-1) as Step);
    expect(envp()).toBe('0})');
    expect(exec()).toBe('execve(program, {"/bin/true", 0}, {&home, 0})');
    expect(exec(['A=b'])).toBe('execve(program, {"/bin/true", 0}, {"A=b", &home, 0})');
    expect(exec(['HOME=/x'])).toBe('execve(program, {"/bin/true", 0}, {"HOME=/x", 0})');
    expect(exec(['HOME='])).toBe('execve(program, {"/bin/true", 0}, {&home, 0})');
    expect(exec(['HOME=/x', 'HOME='])).toBe('execve(program, {"/bin/true", 0}, {&home, 0})');
    expect(exec(['HOME=', 'A=b', 'HOME=/x', 'A='])).toBe(
      'execve(program, {"/bin/true", 0}, {"HOME=/x", "A=", 0})',
    );
  });

  test.each([
    [0, [], ['4, 4', '6, 4294967295']],
    [1, [3], ['5, 5', '7, 4294967295']],
    [5, [], ['3, 7', '9, 9', '11, 4294967295']],
    [5, [3, 4, 5, 6, 7], ['9, 9', '11, 4294967295']],
    [5, [4, 7], ['3, 3', '5, 6', '9, 9', '11, 4294967295']],
  ])(
    'of %i descriptors the caller has %p: init closes all others but the talk with scow and the FIFO',
    (preserveFds, preserved, gaps) => {
      const plan = planOf(minimal(), {}, { preserveFds, preserved });
      const first = 3 + preserveFds;
      expect(plan).toMatchObject({ firstDescriptor: first, preserved });
      expect(plan.descriptors.map(({ name }) => name).slice(0, 3)).toEqual([
        'control',
        'progress',
        'fifo',
      ]);
      const closed = plan.steps.map(show).filter((text) => text.startsWith('close_range'));
      expect(closed).toEqual([
        ...gaps.map((gap) => `close_range(${gap}, 0)`),
        `close_range(${first}, ${first + 2}, 4)`,
      ]);
    },
  );
});
