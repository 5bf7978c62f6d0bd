import { flatten } from '../../../runtime/plan/walk.ts';
import { linux, minimal, planOf, show, stepsOf } from '../../helpers/plans.ts';

describe('what the user supplies as /dev', () => {
  const devices = [{ type: 'c', path: '/dev/fuse', major: 10, minor: 229 }] as const;

  test.each([
    ['a bind mount by type', { type: 'bind', options: [] }],
    ['a bind mount by option', { type: 'none', options: ['bind'] }],
    ['a recursive one', { type: 'none', options: ['rbind', 'ro'] }],
  ])('%s: nothing is made in it', (_, mount) => {
    const mounts = [{ destination: '/dev/', source: '/dev', ...mount }];
    const config = { ...linux({ devices }), mounts };
    expect(stepsOf(config, '/linux/devices')).toEqual([]);
    expect(stepsOf(config, '/linux/devices/0')).toEqual([]);
  });

  test('a device that the configuration names is not made as a default', () => {
    const config = linux({ devices: [{ type: 'c', path: '/dev/null', major: 1, minor: 3 }] });
    const made = (pointer: string) =>
      stepsOf(config, pointer).filter((text) => text.startsWith('mknodat'));
    expect(made('/linux/devices').filter((text) => text.includes('"null"'))).toEqual([]);
    expect(made('/linux/devices/0')).toHaveLength(1);
  });

  test('a link to kcore is made where the host has it', () => {
    const links = (kcore: boolean) =>
      flatten(planOf(minimal(), { kcore }).steps)
        .map(show)
        .filter((text) => text.startsWith('symlinkat'));
    expect(links(true)).toContain('symlinkat("/proc/kcore", dev, "core")');
    expect(links(false)).toHaveLength(links(true).length - 1);
  });

  test.each([
    ['a user namespace', linux({ namespaces: [{ type: 'mount' }, { type: 'user' }] }), {}],
    ['scow in one', minimal(), { nested: true }],
  ])('in %s the host’s devices are mounted, each checked to be itself', (_, config, facts) => {
    const steps = flatten(planOf(config, facts).steps).map(show);
    const at = steps.findIndex((text) => text.startsWith('openat(-100, "/dev/null"'));
    expect(
      steps
        .slice(at)
        .slice(0, 8)
        .map((text) => text.split('(')[0]),
    ).toEqual([
      'openat',
      'statx',
      'check statx or EEXIST',
      'check statx or EEXIST',
      'check statx or EEXIST',
      'open_tree',
      'mount_setattr',
      'openat2',
    ]);
  });
});
