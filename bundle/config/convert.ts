import type { ImageConfig, ImageExecution } from '../../schemas/image.ts';
import type { Process, RuntimeConfig, User } from '../../schemas/runtime-config.ts';
import { type Permissions, volumeMounts } from './volumes.ts';

const PREFIX = 'org.opencontainers.image';

/** What the image's root filesystem tells. */
export interface RootfsFacts {
  /** What the image's `User` comes to, from `resolveUser`. */
  readonly user: User;
  /** Finds a directory by its path in the container. */
  directory(path: string): Permissions | undefined;
}

/**
 * Merges an image's configuration into a runtime configuration, as the image specification's
 * conversion.md says.
 *
 * @param base what the image says nothing about
 * @param image the image's configuration
 * @param terminal whether the program gets a terminal of its own. Runtimes refuse to run a
 *   bundle that wants one from a script, while one that wants none runs anywhere, with the
 *   caller's terminal as it is: so none is the better default, unlike in `spec`
 * @throws Error in one line for values that no container can be given
 */
export function convertConfig(
  base: RuntimeConfig,
  image: ImageConfig,
  rootfs: RootfsFacts,
  terminal: boolean,
): RuntimeConfig {
  const execution = image.config ?? {};
  return {
    ...base,
    process: convertProcess(base.process as Process, execution, rootfs.user, terminal),
    // An image's root is the container's own copy: programs expect to write to it.
    root: { path: 'rootfs', readonly: false },
    mounts: [...(base.mounts ?? []), ...volumeMounts(execution.Volumes, rootfs.directory)],
    annotations: annotations(image, execution),
  };
}

function convertProcess(
  base: Process,
  execution: ImageExecution,
  user: User,
  terminal: boolean,
): Process {
  const args = [...(execution.Entrypoint ?? []), ...(execution.Cmd ?? [])];
  const cwd = execution.WorkingDir || '/';
  if (!cwd.startsWith('/'))
    throw new Error(`the image's WorkingDir ${JSON.stringify(cwd)} is not an absolute path`);
  return {
    ...base,
    terminal,
    user,
    cwd,
    env: environment(base.env ?? [], execution.Env ?? []),
    ...(args.length === 0 ? {} : { args }),
  };
}

/** The image's variables as they are, then the base's whose names the image does not have. */
function environment(base: readonly string[], image: readonly string[]): string[] {
  for (const variable of image)
    if (nameOf(variable) === '')
      throw new Error(`the image's Env has ${JSON.stringify(variable)}, which is not NAME=VALUE`);
  const names = new Set(image.map(nameOf));
  return [...image, ...base.filter((variable) => !names.has(nameOf(variable)))];
}

function nameOf(variable: string): string {
  return variable.slice(0, Math.max(0, variable.indexOf('=')));
}

/** Fields that only annotations can carry, and the labels, which win over them. */
function annotations(image: ImageConfig, execution: ImageExecution): Record<string, string> {
  const implicit: Readonly<Record<string, string | undefined>> = {
    os: image.os,
    architecture: image.architecture,
    variant: image.variant,
    'os.version': image['os.version'],
    'os.features': image['os.features']?.join(','),
    author: image.author,
    created: image.created,
    stopSignal: execution.StopSignal,
    exposedPorts: Object.keys(execution.ExposedPorts ?? {}).join(','),
  };
  const fields = Object.entries(implicit).flatMap(([name, value]) =>
    value ? [[`${PREFIX}.${name}`, value] as const] : [],
  );
  return { ...Object.fromEntries(fields), ...execution.Labels };
}
