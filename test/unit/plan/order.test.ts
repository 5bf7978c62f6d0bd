import type { Step } from '../../../runtime/plan/step.ts';
import { flatten } from '../../../runtime/plan/walk.ts';
import { defaultConfig } from '../../../schemas/default-config.ts';
import type { RuntimeConfig } from '../../../schemas/runtime-config.ts';
import { callsOf, minimal, planOf, processOf, show } from '../../helpers/plans.ts';

/** The parts of init's work, by the pointers and calls that are theirs alone. */
const CONCERNS: readonly (readonly [concern: string, belongs: (step: Step) => boolean])[] = [
  ['set up', ({ why }) => why === 'set init up' || why.includes('keyring')],
  ['cgroup', (step) => step.kind === 'report' && step.point === 'cgroup'],
  ['namespaces', (step) => isCall(step, 'unshare', 'setns') || step.kind === 'fork'],
  ['namespaces', ({ why }) => why.startsWith('hide init') || why.includes('ID maps')],
  ['namespaces', ({ why }) => why === 'become root of the user namespace'],
  ['network', ({ why }) => why.includes('loopback')],
  ['hostname', ({ pointer }) => pointer === '/hostname' || pointer === '/domainname'],
  ['sysctl', ({ pointer }) => pointer.startsWith('/linux/sysctl')],
  ['root', ({ why }) => why.startsWith('use ') && why.endsWith(' as the root filesystem')],
  ['root', ({ why }) => why === 'keep mounts of the container from the host'],
  ['mounts', ({ pointer }) => pointer.startsWith('/mounts/')],
  ['devices', ({ pointer }) => pointer.startsWith('/linux/devices')],
  ['pivot_root', ({ why }) => why.startsWith('enter the root') || why.startsWith("let the host's")],
  ['session', (step) => isCall(step, 'setsid')],
  ['standard streams', ({ why }) => why === 'use the terminal' || why.includes('standard streams')],
  ['console', ({ pointer, why }) => pointer === '/process/terminal' || why.includes('terminal')],
  ['make cwd', ({ why }) => why.startsWith('find or make the working directory')],
  ['hand over', (step) => step.kind === 'report' && step.point === 'mounted'],
  ['read-only paths', ({ pointer }) => pointer.startsWith('/linux/readonlyPaths')],
  ['masked paths', ({ pointer }) => pointer.startsWith('/linux/maskedPaths')],
  ['read-only root', ({ pointer }) => pointer === '/root/readonly'],
  ['propagation', ({ pointer }) => pointer === '/linux/rootfsPropagation'],
  ['no_new_privs', ({ pointer }) => pointer === '/process/noNewPrivileges'],
  ['chdir', (step) => step.pointer === '/process/cwd' && isCall(step, 'chdir')],
  ['check of the cwd', ({ pointer }) => pointer === '/process/cwd'],
  ['bounding set', ({ pointer }) => pointer === '/process/capabilities/bounding'],
  ['keepcaps', ({ why }) => why.startsWith('keep capabilities')],
  ['groups', ({ pointer }) => pointer === '/process/user/additionalGids'],
  ['gid', ({ pointer }) => pointer === '/process/user/gid'],
  ['uid', ({ pointer }) => pointer === '/process/user/uid'],
  ['capability sets', (step) => isCall(step, 'capset')],
  ['ambient', ({ pointer }) => pointer.startsWith('/process/capabilities/ambient')],
  ['umask', ({ pointer }) => pointer === '/process/user/umask'],
  ['open files', (step) => isCall(step, 'prlimit64')],
  ['death signal', ({ why }) => why === 'end with scow'],
  ['program', ({ pointer }) => pointer === '/process/args/0'],
  ['descriptors', (step) => isCall(step, 'close_range')],
  ['signal mask', (step) => isCall(step, 'rt_sigprocmask')],
  ['ready', (step) => step.kind === 'report' && step.point === 'ready'],
  ['FIFO', ({ why }) => why === 'wait for scow start'],
  ['exec', (step) => isCall(step, 'execve')],
];

function isCall(step: Step, ...names: string[]): boolean {
  return step.kind === 'call' && names.includes(step.name);
}

/** What init does, in order; steps of one concern in a row are one. */
function concernsOf(steps: readonly Step[]): string[] {
  const all = steps.map((step) => {
    const found = CONCERNS.find(([, belongs]) => belongs(step));
    if (found === undefined) throw new Error(`whose is this? ${step.pointer} ${show(step)}`);
    return found[0];
  });
  return all.filter((concern, i) => concern !== all[i - 1]);
}

const AFTER_ROOT = [
  'pivot_root',
  'session',
  'standard streams',
  'no_new_privs',
  'chdir',
  'bounding set',
  'keepcaps',
  'groups',
  'gid',
  'uid',
  'keepcaps',
  'capability sets',
  'ambient',
  'check of the cwd',
];

describe('the order of init', () => {
  test('for the default configuration', () => {
    const steps = planOf(defaultConfig()).steps.map((step) =>
      step.kind === 'first' ? { ...step, of: [] } : step,
    );
    expect(concernsOf(steps)).toEqual([
      'set up',
      'namespaces',
      'network',
      'hostname',
      'root',
      'mounts',
      'devices',
      'console',
      'make cwd',
      'hand over',
      'read-only paths',
      'masked paths',
      'read-only root',
      ...AFTER_ROOT,
      'umask',
      'open files',
      'program',
      'descriptors',
      'signal mask',
      'ready',
      'FIFO',
      'exec',
    ]);
  });

  test('with everything else that a plan can have', () => {
    const config = defaultConfig();
    const full: RuntimeConfig = {
      ...config,
      domainname: 'example',
      process: { ...(config.process as object), terminal: false } as never,
      linux: {
        ...config.linux,
        sysctl: { 'net.ipv4.ip_forward': '1' },
        rootfsPropagation: 'private',
      },
    };
    const options = { foreground: true, awaitCgroup: true };
    const steps = planOf(full, {}, options).steps.map((step) =>
      step.kind === 'first' ? { ...step, of: [] } : step,
    );
    expect(concernsOf(steps)).toEqual([
      'set up',
      'cgroup',
      'namespaces',
      'network',
      'hostname',
      'sysctl',
      'root',
      'mounts',
      'devices',
      'make cwd',
      'hand over',
      'read-only paths',
      'masked paths',
      'read-only root',
      'pivot_root',
      'propagation',
      ...AFTER_ROOT.slice(1).filter((concern) => concern !== 'standard streams'),
      'umask',
      'open files',
      'death signal',
      'program',
      'descriptors',
      'signal mask',
      'ready',
      'FIFO',
      'exec',
    ]);
  });

  test('every step says what it is for, as the end of «cannot …»', () => {
    for (const { why, pointer } of flatten(planOf(defaultConfig()).steps)) {
      expect(why).toMatch(/^[a-z].*[^.]$/);
      expect(pointer === '' || pointer.startsWith('/')).toBe(true);
    }
  });

  test('nothing is left between the exec FIFO and the program', () => {
    const last = planOf(defaultConfig()).steps.slice(-3).map(show);
    expect(last[0]).toBe('read(<fifo>, &byte, 1)');
    expect(last[1]).toBe('check byte or ECANCELED');
    expect(last[2]).toMatch(/^execve\(program, \{"sh", 0\}, /);
  });
});

describe('in the foreground', () => {
  const process = processOf({ user: { uid: 1000, gid: 1000 } });
  const names = (foreground: boolean) =>
    callsOf(planOf(minimal({ process }), {}, { foreground }).steps).map(show);

  test('the program dies with scow: set after the change of IDs, which clears it', () => {
    const calls = names(true);
    const death = calls.indexOf('prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)');
    expect(death).toBeGreaterThan(calls.indexOf('setresuid(1000, 1000, 1000)'));
    expect(death).toBeGreaterThan(calls.findIndex((call) => call.startsWith('capset')));
    expect(death).toBeLessThan(calls.findIndex((call) => call.startsWith('read(<fifo>')));
  });

  test('and otherwise does not', () => {
    expect(names(false).filter((call) => call.includes('PDEATHSIG'))).toEqual([]);
  });
});

test('no process, no plan', () => {
  const { process: _, ...config } = minimal();
  expect(() => planOf(config)).toThrow('there is no process to run  [/process]');
});
