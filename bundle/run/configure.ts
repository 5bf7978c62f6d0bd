import type { ImageConfig } from '../../schemas/image.ts';
import type {
  CapabilityName,
  Mount,
  Namespace,
  RuntimeConfig,
} from '../../schemas/runtime-config.ts';
import type { RunSettings } from './settings.ts';

/**
 * What root in a container may do, as engines have it: to install packages takes other owners, to
 * serve takes another user. Neither devices nor raw packets.
 */
const CAPABILITIES: readonly CapabilityName[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];

/** Puts what was asked for in the place of what an image says of its program. */
export function configureImage(image: ImageConfig, settings: RunSettings): ImageConfig {
  const { args, env, entrypoint, workingDirectory, user } = settings;
  const own = image.config ?? {};
  const program =
    entrypoint === undefined
      ? { Entrypoint: own.Entrypoint ?? [], Cmd: args.length > 0 ? args : (own.Cmd ?? []) }
      : { Entrypoint: [entrypoint], Cmd: args };
  return {
    ...image,
    config: {
      ...own,
      ...program,
      Env: mergeVariables(own.Env ?? [], env),
      ...(workingDirectory === undefined ? {} : { WorkingDir: workingDirectory }),
      ...(user === undefined ? {} : { User: user }),
    },
  };
}

/** @param files what the container gets in the place of its own, such as /etc/hosts */
export function configureRuntime(
  config: RuntimeConfig,
  settings: RunSettings,
  files: readonly Mount[],
): RuntimeConfig {
  const { volumes, hostname } = settings;
  const bind = volumes.map((volume): Mount => ({ ...volume, type: 'bind' }));
  const chosen = new Set(bind.map(({ destination }) => destination));
  const others = [...(config.mounts ?? []), ...files].filter(
    ({ destination }) => !chosen.has(destination),
  );
  const { process: program, ...rest } = withNetwork(config, settings);
  return {
    ...rest,
    ...(program === undefined
      ? {}
      : {
          process: {
            ...program,
            capabilities: {
              bounding: CAPABILITIES,
              effective: CAPABILITIES,
              permitted: CAPABILITIES,
            },
          },
        }),
    hostname,
    mounts: [...others, ...bind],
  };
}

function withNetwork(config: RuntimeConfig, { network }: RunSettings): RuntimeConfig {
  const others = (config.linux?.namespaces ?? []).filter(({ type }) => type !== 'network');
  const own: Namespace[] =
    network === 'host'
      ? []
      : [network === 'none' ? { type: 'network' } : { type: 'network', path: network.path }];
  return { ...config, linux: { ...config.linux, namespaces: [...others, ...own] } };
}

/** Later variables take the places of earlier ones with the same name. */
function mergeVariables(earlier: readonly string[], later: readonly string[]): string[] {
  const nameOf = (variable: string) => variable.replace(/=.*$/s, '');
  const merged = new Map(earlier.map((variable) => [nameOf(variable), variable]));
  for (const variable of later) merged.set(nameOf(variable), variable);
  return [...merged.values()];
}
