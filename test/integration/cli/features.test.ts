/** `features`: complete, compared with runc's, and true: what is listed is accepted. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { features } from '../../../runtime/container/features.ts';
import { checkSupported } from '../../../runtime/container/supported.ts';
import { parseMountOptions } from '../../../runtime/plan/mount-options.ts';
import { defaultConfig } from '../../../schemas/default-config.ts';
import type { NamespaceType } from '../../../schemas/runtime-config.ts';
import { validateRuntimeConfig } from '../../../schemas/validate.ts';
import { cleanUp, type EditableConfig, ENGINES, runc, scow } from '../../helpers/scow.ts';

afterEach(cleanUp);

/** Has a configuration refused that is not valid, or not supported. */
function accept(name: string, edit: (config: EditableConfig) => void): void {
  const config = structuredClone(defaultConfig()) as EditableConfig;
  edit(config);
  expect({ name, violations: validateRuntimeConfig(config) }).toEqual({ name, violations: [] });
  checkSupported(config);
}

test.each(ENGINES)('it is printed as JSON, under %s', (engine) => {
  const { status, stdout, stderr } = scow(['features'], { engine });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual(features());
});

test('there is nothing that runc has and scow has not, but cgroup v1 and the ACL of ext2', () => {
  const theirs = JSON.parse(runc(['features']).stdout);
  const ours = features();
  const missing = (one: readonly string[], other: readonly string[]) =>
    one.filter((name) => !other.includes(name));
  expect(missing(theirs.hooks, ours.hooks)).toEqual([]);
  // Those are the filesystem's own to know.
  expect(missing(theirs.mountOptions, ours.mountOptions)).toEqual(['acl', 'noacl']);
  expect(missing(theirs.linux.namespaces, ours.linux.namespaces)).toEqual([]);
  expect(missing(theirs.linux.capabilities, ours.linux.capabilities)).toEqual([]);
  for (const list of ['actions', 'operators', 'archs'] as const)
    expect(missing(theirs.linux.seccomp[list], ours.linux.seccomp[list])).toEqual([]);
  expect(Object.keys(ours.linux)).toEqual(expect.arrayContaining(Object.keys(theirs.linux)));
  expect(ours.linux.cgroup).toEqual({
    v1: false,
    v2: true,
    systemd: true,
    systemdUser: true,
    rdma: true,
  });
});

test('every annotation that changes what is done is told', () => {
  const sources = readdirSync('runtime', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && name !== 'container/features.ts')
    .map((name) => readFileSync(join('runtime', name), 'utf8'));
  const found = sources.flatMap((text) => [
    ...text.matchAll(/'(run\.oci\.[\w.]+|org\.systemd\.[\w.]+)'/g),
  ]);
  const names = new Set(found.map(([, name]) => name));
  expect(features().potentiallyUnsafeConfigAnnotations).toEqual([...names].sort());
});

test('both versions are accepted', () => {
  for (const version of [features().ociVersionMin, features().ociVersionMax])
    accept(version, (config) => {
      config.ociVersion = version;
    });
});

test('each name is accepted where it belongs', () => {
  const { hooks, linux, mountOptions } = features();
  for (const name of hooks)
    accept(name, (config) => {
      config.hooks = { [name]: [{ path: '/bin/true' }] };
    });
  for (const name of linux.capabilities)
    accept(name, (config) => {
      if (config.process) config.process.capabilities = { bounding: [name] };
    });
  for (const type of linux.namespaces)
    accept(type, (config) => {
      if (config.linux?.namespaces?.every((one) => one.type !== type))
        config.linux.namespaces.push({ type: type as NamespaceType });
      if (config.linux && type === 'user')
        config.linux.uidMappings = config.linux.gidMappings = [
          { containerID: 0, hostID: 1000, size: 1 },
        ];
    });
  for (const option of mountOptions.filter((name) => !/idmap|remount/.test(name)))
    expect(() =>
      parseMountOptions({ destination: '/x', type: 'tmpfs', options: [option] }, ''),
    ).not.toThrow();
  for (const mode of linux.memoryPolicy.modes)
    accept(mode, (config) => {
      const needs = !/DEFAULT|LOCAL/.test(mode);
      if (config.linux)
        config.linux.memoryPolicy = { mode, ...(needs ? { nodes: '0' } : {}) } as never;
    });
});

test('each name of seccomp is accepted', () => {
  const { actions, operators, archs, supportedFlags } = features().linux.seccomp;
  const profile = (name: string, part: object) =>
    accept(name, (config) => {
      if (config.linux)
        config.linux.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', ...part } as never;
    });
  for (const action of actions)
    profile(action, {
      ...(action === 'SCMP_ACT_NOTIFY' ? { listenerPath: '/run/listener' } : {}),
      syscalls: [{ names: ['getpid'], action }],
    });
  for (const op of operators) {
    const second = op === 'SCMP_CMP_MASKED_EQ' ? { valueTwo: 1 } : {};
    const args = [{ index: 0, value: 1, ...second, op }];
    profile(op, { syscalls: [{ names: ['getpid'], action: 'SCMP_ACT_LOG', args }] });
  }
  for (const arch of archs) profile(arch, { architectures: [arch] });
  for (const flag of supportedFlags)
    profile(flag, {
      flags: [flag],
      ...(flag === 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'
        ? {
            listenerPath: '/run/listener',
            syscalls: [{ names: ['getpid'], action: 'SCMP_ACT_NOTIFY' }],
          }
        : {}),
    });
});
