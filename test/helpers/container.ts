import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { findHierarchy } from '../../runtime/cgroups/hierarchy.ts';
import type { CapabilityName, Mount } from '../../schemas/runtime-config.ts';
import {
  bundleOf,
  type EditableConfig,
  type Engine,
  newId,
  type Result,
  type RunOptions,
  rootOf,
  runc,
  scow,
  scowWords,
  testDirectory,
} from './scow.ts';

/** scow under one of its engines, or one of its peers. */
export type Runtime = Engine | 'runc' | 'crun';

export type Edit = (config: EditableConfig) => void;

/** How a container is run. */
export interface ContainerOptions extends RunOptions {
  /** Flags of `run`. */
  readonly flags?: readonly string[];
  /** The words of a command that is called with the runtime's as its arguments. */
  readonly through?: readonly string[];
}

/** Makes a bundle, and runs its program in the foreground. */
export function run(runtime: Runtime, edit: Edit, options: ContainerOptions = {}): Result {
  return runBundle(runtime, bundleOf(edit), options);
}

/** Runs the program of a bundle in the foreground. */
export function runBundle(
  runtime: Runtime,
  bundle: string,
  { flags = [], through, engine: _, ...options }: ContainerOptions = {},
): Result {
  const args = ['run', ...flags, '--bundle', bundle, newId()];
  if (runtime === 'runc' && through === undefined) return runc(args, options);
  if (runtime !== 'runc' && runtime !== 'crun' && through === undefined)
    return scow(args, { ...options, engine: runtime });
  const [command = '', ...first] = [...(through ?? []), ...commandLine(runtime)];
  const { status, signal, stdout, stderr } = spawnSync(command, [...first, ...args], {
    ...options,
    encoding: 'utf8',
  });
  return { status, signal, stdout, stderr, stdoutFile: '' };
}

/** The words that call a runtime, for {@link cleanUp} to find what it leaves behind. */
export function commandLine(runtime: Runtime): string[] {
  if (runtime === 'runc') return ['runc', '--root', rootOf('runc')];
  if (runtime !== 'crun') return scowWords(runtime);
  // crun wants the cgroup hierarchy at its usual place, where other hierarchies may be.
  const script = 'mount --bind "$0" /sys/fs/cgroup && exec crun "$@"';
  const { mountPoint } = findHierarchy();
  const aside = ['unshare', '--mount', '--propagation=slave', 'sh', '-c', script, mountPoint];
  return [...aside, '--root', join(testDirectory(), 'crun')];
}

/** What a container's program prints; it must end well and complain of nothing. */
export function output(runtime: Runtime, edit: Edit, options: ContainerOptions = {}): string {
  const { status, stdout, stderr } = run(runtime, edit, options);
  expect({ runtime, status, stderr }).toEqual({ runtime, status: 0, stderr: '' });
  return stdout;
}

/** The lines that a shell script in a container prints. */
export function lines(
  runtime: Runtime,
  script: string,
  edit: Edit = () => {},
  options: ContainerOptions = {},
): string[] {
  const all = both(portable, shell(script), edit);
  return output(runtime, all, options).trimEnd().split('\n');
}

/** Sets what the container's program is. */
export function shell(script: string): Edit {
  return (config) => {
    processOf(config).args = ['sh', '-c', script];
  };
}

/** Applies several changes to a configuration, in order. */
export function both(...edits: readonly Edit[]): Edit {
  return (config) => {
    for (const edit of edits) edit(config);
  };
}

/** Adds mounts after those of the default configuration. */
export function mounting(...mounts: readonly Mount[]): Edit {
  return (config) => {
    config.mounts = [...(config.mounts ?? []), ...(mounts as NonNullable<typeof config.mounts>)];
  };
}

/** A bind mount of a path of the host. */
export function bind(source: string, destination: string, ...options: string[]) {
  return { destination, type: 'bind', source, options: ['bind', ...options] };
}

/** The ID on the host of root in a user namespace that {@link mapped} asks for. */
export const MAPPED_ROOT = 100_000;

/** A user namespace, with as many IDs as a distribution gives users for theirs. */
export const mapped: Edit = (config) => {
  const linux = linuxOf(config);
  linux.namespaces = [...(linux.namespaces ?? []), { type: 'user' }];
  linux.uidMappings = [{ containerID: 0, hostID: MAPPED_ROOT, size: 65_536 }];
  linux.gidMappings = [{ containerID: 0, hostID: MAPPED_ROOT, size: 65_536 }];
};

/** Gives root of {@link mapped} the root filesystem of a bundle in the test's own directory. */
export function giveToMapped(bundle: string): void {
  const owner = `${MAPPED_ROOT}:${MAPPED_ROOT}`;
  spawnSync('chown', ['-hR', owner, join(bundle, 'rootfs')]);
  chmodSync(testDirectory(), 0o711);
}

/** Makes the root filesystem writable. */
export const writable: Edit = (config) => {
  config.root = { path: 'rootfs', readonly: false };
};

/** Gives the process these capabilities, and only these, in all sets but the ambient. */
export function capable(...names: readonly CapabilityName[]): Edit {
  return (config) => {
    processOf(config).capabilities = {
      bounding: [...names],
      effective: [...names],
      permitted: [...names],
    };
  };
}

export function processOf(config: EditableConfig): NonNullable<EditableConfig['process']> {
  if (config.process === undefined) throw new Error('a configuration without a process');
  return config.process;
}

export function linuxOf(config: EditableConfig): NonNullable<EditableConfig['linux']> {
  if (config.linux === undefined) throw new Error('a configuration without a Linux section');
  return config.linux;
}

/** What both peers accept everywhere: crun may be unable to load device rules. */
export const portable: Edit = (config) => {
  const { resources: _, ...linux } = linuxOf(config);
  config.linux = linux;
};
