import type { Hooks } from '../../schemas/runtime-config.ts';
import { VERSION } from '../../schemas/version.ts';
import { PROPERTY_PREFIX } from '../cgroups/systemd/annotations.ts';
import { MPOL, MPOL_F } from '../linux/constants.ts';
import { CAPABILITIES } from '../plan/capabilities.ts';
import { KEEP_GROUPS } from '../plan/credentials.ts';
import { CONTEXT_TYPE } from '../plan/mount-label.ts';
import { mountOptionNames } from '../plan/mount-options.ts';
import { NAMESPACE_FLAGS } from '../plan/namespaces.ts';
import { PIDFD_RECEIVER } from './create.ts';
import { STDERR, STDOUT } from './hooks/streams.ts';
import { FAIL_UNKNOWN } from './seccomp/filter.ts';
import { ACTIONS, ARCHITECTURES, FLAGS, kernelKnows, OPERATORS } from './seccomp/names.ts';
import { BPF_DATA, RECEIVER } from './seccomp/receiver.ts';
import { SPEC_VERSION } from './state.ts';

const HOOKS = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
] as const satisfies readonly (keyof Hooks)[];

/** Those of a container's annotations that change what is done; a dot ends the beginning of many. */
const ANNOTATIONS = [
  BPF_DATA,
  CONTEXT_TYPE,
  FAIL_UNKNOWN,
  KEEP_GROUPS,
  PIDFD_RECEIVER,
  PROPERTY_PREFIX,
  RECEIVER,
  STDERR,
  STDOUT,
];

/**
 * What this version can do, whatever the host can: the features structure of the runtime
 * specification (features.md, features-linux.md). Each list comes from where its names are acted on.
 */
export function features() {
  const enabled = true;
  return {
    ociVersionMin: '1.0.0',
    ociVersionMax: SPEC_VERSION,
    hooks: HOOKS,
    mountOptions: mountOptionNames(),
    linux: {
      namespaces: Object.keys(NAMESPACE_FLAGS).toSorted(),
      capabilities: CAPABILITIES,
      cgroup: { v1: false, v2: true, systemd: true, systemdUser: true, rdma: true },
      seccomp: seccomp(),
      apparmor: { enabled },
      selinux: { enabled },
      intelRdt: { enabled, schemata: true, monitoring: true },
      memoryPolicy: {
        modes: Object.keys(MPOL).map((name) => `MPOL_${name}`),
        flags: Object.keys(MPOL_F).map((name) => `MPOL_F_${name}`),
      },
      mountExtensions: { idmap: { enabled } },
      netDevices: { enabled },
    },
    annotations: {
      'org.opencontainers.runc.checkpoint.enabled': 'false',
      'run.oci.scow.version': VERSION,
    },
    potentiallyUnsafeConfigAnnotations: ANNOTATIONS.toSorted(),
  };
}

function seccomp() {
  const knownFlags = Object.keys(FLAGS) as (keyof typeof FLAGS)[];
  return {
    enabled: true,
    actions: Object.keys(ACTIONS),
    operators: Object.keys(OPERATORS),
    archs: ARCHITECTURES,
    knownFlags,
    // The one list that is about the running kernel: features-linux.md, Seccomp.
    supportedFlags: knownFlags.filter(kernelKnows),
  };
}
