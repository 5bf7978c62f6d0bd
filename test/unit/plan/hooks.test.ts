import type { Caller } from '../../../runtime/plan/facts.ts';
import { planHook, planStartHook } from '../../../runtime/plan/hooks.ts';
import { flatten } from '../../../runtime/plan/walk.ts';
import { defaultConfig } from '../../../schemas/default-config.ts';
import { minimal, planOf, processOf, show } from '../../helpers/plans.ts';

const CALLER: Caller = {
  environment: ['A=1'],
  umask: 0o27,
  openFiles: { soft: 10n, hard: 20n },
  ignoredSignals: [13],
};
const HOOK = { path: '/bin/hook' };

test('a hook of the host has what it is given, and nothing else', () => {
  const { steps, cloneFlags, preserved } = planHook(HOOK, 'poststop', 1, '/bundle', CALLER);
  expect({ cloneFlags, preserved }).toEqual({ cloneFlags: 0, preserved: [] });
  expect(steps.map(show)).toEqual([
    'rt_sigaction(13, &sigaction, 0, 8)',
    'setsid()',
    'prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)',
    'lseek(<hook state>, 0, 0)',
    'dup3(<hook state>, 0, 0)',
    'dup3(<hook output>, 1, 0)',
    'dup3(<hook errors>, 2, 0)',
    'first',
    'umask(027)',
    'prlimit64(0, 7, {10, 20}, 0)',
    'close_range(3, 4294967295, 4)',
    'rt_sigprocmask(2, &no signals, 0, 8)',
    'execve("/bin/hook", {"/bin/hook", 0}, {"A=1", 0})',
  ]);
  expect(steps.at(-1)).toMatchObject({ pointer: '/hooks/poststop/1/path' });
});

test('a hook of start joins the namespaces, then is root with the bounding set', () => {
  const capabilities = { bounding: ['CAP_CHOWN'] as const, ambient: ['CAP_KILL'] as const };
  const process = processOf({ capabilities, user: { uid: 5, gid: 5 }, apparmorProfile: 'some' });
  const { steps, descriptors } = planStartHook({ ...HOOK, args: ['a'], env: [] }, 0, {
    config: minimal({ process }),
    joined: ['user', 'pid', 'mount'],
    environment: ['B=2'],
    lastCapability: 1,
    caller: CALLER,
  });
  const shown = flatten(steps).map(show);
  const at = (text: string) => shown.findIndex((line) => line.startsWith(text));
  expect(shown[at('setns')]).toBe('setns(<container>, CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNS)');
  expect(at('fork')).toBeGreaterThan(at('setns'));
  expect(shown).toContain('write(attribute, "exec some", 9)');
  expect(shown[at('setresuid')]).toBe('setresuid(0, 0, 0)');
  expect(shown.filter((line) => line.includes('CAPBSET_DROP'))).toEqual([
    'prctl(PR_CAPBSET_DROP, 1, 0, 0, 0)',
  ]);
  expect(shown[at('capset')]).toBe('capset({537396514, 0}, {1, 1, 0, 0, 0, 0})');
  expect(shown.some((line) => line.includes('AMBIENT_RAISE'))).toBe(false);
  expect(shown.at(-1)).toBe('execve("/bin/hook", {"a", 0}, {0})');
  expect(descriptors.map(({ name }) => name)).toContain('proc of the host');
});

describe('init', () => {
  const shown = (config: Parameters<typeof planOf>[0], privileged = true) =>
    planOf(config, { privileged, caller: CALLER }).steps.map(show);

  test('has nothing to do for hooks that follow its work', () => {
    const hooks = { poststart: [HOOK], poststop: [HOOK] };
    expect(shown({ ...defaultConfig(), hooks })).toEqual(shown(defaultConfig()));
    expect(shown({ ...defaultConfig(), hooks: { startContainer: [HOOK] } })).toEqual(
      shown(defaultConfig()),
    );
  });

  test('shows itself only where hooks could not enter else', () => {
    const dumpable = 'prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)';
    const config = { ...defaultConfig(), hooks: { startContainer: [HOOK] } };
    expect(shown(config, false)).toContain(dumpable);
    expect(shown(defaultConfig(), false)).not.toContain(dumpable);
    expect(shown(config, true)).not.toContain(dumpable);
  });

  test('waits for hooks between the mounts and pivot_root, with the root filesystem in its place', () => {
    const lines = shown({
      ...defaultConfig(),
      hooks: { prestart: [HOOK], createContainer: [HOOK, HOOK] },
    });
    const order = [
      'move_mount(root, "", -100, "/bundle/rootfs", MOVE_MOUNT_F_EMPTY_PATH)',
      'report hooks',
      'spawn',
      'spawn',
      'move_mount(root, "", -100, "/", MOVE_MOUNT_F_EMPTY_PATH)',
      'report mounted',
      'pivot_root(".", ".")',
    ];
    expect(lines.filter((line) => order.includes(line))).toEqual(order);
  });
});
