import type { Facts } from '../../../runtime/plan/facts.ts';
import { minimal, planOf, processOf, show } from '../../helpers/plans.ts';

const FILTER: NonNullable<Facts['seccomp']> = {
  program: new Uint8Array(24),
  flags: { flags: 4, text: 'SECCOMP_FILTER_FLAG_SPEC_ALLOW' },
  listens: false,
  mustShow: false,
};
const ADMIN = 1 << 21;

/** What init does, from the last word that it says on. */
function ending(change: Partial<NonNullable<Facts['seccomp']>>, process = {}): string[] {
  const config = minimal({ process: processOf(process) });
  const steps = planOf(config, { seccomp: { ...FILTER, ...change } }).steps.map(show);
  return steps.slice(steps.indexOf('report ready'));
}

/** The sets of each capset: effective, permitted, inheritable. */
function capsets(process: object): string[] {
  const config = minimal({ process: processOf(process) });
  return planOf(config, { seccomp: FILTER })
    .steps.map(show)
    .filter((text) => text.startsWith('capset'))
    .map((text) => /, \{(\d+, \d+, \d+)/.exec(text)?.[1] ?? '');
}

const LOAD =
  'seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, {3, 0, 0, <24 bytes>})';
const WAIT = ['read(<fifo>, &byte, 1)', 'check byte or ECANCELED'];
const EXECUTE = expect.stringMatching(/^execve\(program, /);

test('without privileges to gain, nothing stands between filter, wait and program', () => {
  const process = { noNewPrivileges: true };
  expect(ending({}, process)).toEqual(['report ready', LOAD, 'tell -1', ...WAIT, EXECUTE]);
  expect(capsets(process)).toEqual(['0, 0, 0']);
});

test('otherwise CAP_SYS_ADMIN is kept for loading it, and then given up', () => {
  const giveUp = expect.stringMatching(/^capset\(/);
  expect(ending({})).toEqual(['report ready', LOAD, 'tell -1', giveUp, ...WAIT, EXECUTE]);
  const capabilities = {
    bounding: ['CAP_KILL'],
    effective: ['CAP_KILL'],
    permitted: ['CAP_KILL', 'CAP_SYS_ADMIN'],
    inheritable: ['CAP_KILL'],
  };
  const kill = 1 << 5;
  expect(capsets({ capabilities })).toEqual([
    `${kill | ADMIN}, ${kill | ADMIN}, ${kill}`,
    `${kill}, ${kill | ADMIN}, ${kill}`,
  ]);
});

test('a process that shall have it keeps it', () => {
  const own = ['CAP_SYS_ADMIN'];
  const capabilities = { bounding: own, effective: own, permitted: own };
  expect(capsets({ capabilities })).toEqual([`${ADMIN}, ${ADMIN}, 0`]);
});

test('a listener is told without a call', () => {
  const steps = ending({ listens: true }, { noNewPrivileges: true });
  expect(steps).toEqual(['report ready', LOAD, 'tell listener', ...WAIT, EXECUTE]);
});

test('init shows itself to a scow without privileges, and has nothing to show then', () => {
  const config = minimal({ process: processOf({ noNewPrivileges: true }) });
  const seccomp = { ...FILTER, listens: true, mustShow: true };
  const plan = planOf(config, { seccomp }, { preserveFds: 3, preserved: [4] });
  const steps = plan.steps.map(show);
  expect(steps.slice(steps.indexOf('report ready') + 1, steps.indexOf(LOAD))).toEqual([
    'prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)',
  ]);
  const closed = steps
    .slice(0, steps.indexOf('report ready'))
    .filter((text) => text.startsWith('close_range'));
  expect(closed).toContain(`close_range(9, ${2 ** 32 - 1}, 0)`);
});
