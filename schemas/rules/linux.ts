/** Rules of the `linux` part that have nothing to do with IDs. */

import type { NamespaceType, RuntimeConfig } from '../runtime-config.ts';
import { pointerTo, render } from '../violation.ts';
import { hasNamespace, type Report, type Rule } from './rule.ts';

export const LINUX_RULES: readonly Rule[] = [
  { about: ['linux', 'sysctl'], reads: ['/linux/namespaces'], check: sysctlIsNamespaced },
  { about: ['linux', 'memoryPolicy'], check: policyAndNodes },
  { about: ['linux', 'resources', 'blockIO', 'weightDevice'], check: weightIsGiven },
  { about: ['linux', 'resources', 'rdma'], check: rdmaLimitIsGiven },
  { about: ['linux', 'resources', 'cpu'], check: burstWithinQuota },
];

/** Kernel parameters that a namespace has for itself, by their path below /proc/sys. */
const NAMESPACED: readonly (readonly [RegExp, NamespaceType])[] = [
  [/^net\/./, 'network'],
  [/^fs\/mqueue\/./, 'ipc'],
  [/^kernel\/(sem|shm\w+|msg(max|mni|mnb))$/, 'ipc'],
  [/^kernel\/domainname$/, 'uts'],
  [/^user\/max_\w+$/, 'user'],
];

const NAMESPACED_IN_WORDS =
  'a kernel parameter that namespaces have for themselves (net.*, fs.mqueue.*, kernel.sem, kernel.shm*, kernel.msgmax, kernel.msgmnb, kernel.msgmni, kernel.domainname, user.max_*)';

/** Any other parameter is the host's, and a configuration of a container must not change it. */
function sysctlIsNamespaced(config: RuntimeConfig, report: Report): void {
  for (const name of Object.keys(config.linux?.sysctl ?? {})) {
    const pointer = pointerTo('linux', 'sysctl', name);
    const found = `the name ${render(name)}`;
    const path = pathOf(name);
    const type = NAMESPACED.find(([pattern]) => pattern.test(path))?.[1];
    if (path === 'kernel/hostname') {
      report({ pointer, found, allowed: 'nothing: /hostname sets it' });
    } else if (type === undefined || /(^|\/)\.{0,2}(\/|$)/.test(path)) {
      report({ pointer, found, allowed: NAMESPACED_IN_WORDS });
    } else if (!hasNamespace(config, type)) {
      const allowed = `this parameter only with a namespace of type "${type}" in /linux/namespaces`;
      report({ pointer, found, allowed });
    }
  }
}

/** sysctl(8): whichever of `.` and `/` comes first separates, and the other stands for it. */
function pathOf(name: string): string {
  if (/[./]/.exec(name)?.[0] === '/') return name;
  return name.replace(/[./]/g, (character) => (character === '/' ? '.' : '/'));
}

/** set_mempolicy(2): some modes take no nodes, others need some. */
function policyAndNodes(config: RuntimeConfig, report: Report): void {
  const policy = config.linux?.memoryPolicy;
  if (policy === undefined || policy.mode === 'MPOL_PREFERRED') return;
  const takesNone = policy.mode === 'MPOL_DEFAULT' || policy.mode === 'MPOL_LOCAL';
  const hasNone = (policy.nodes ?? '').trim() === '';
  if (takesNone === hasNone) return;
  report({
    pointer: '/linux/memoryPolicy/nodes',
    found: render(policy.nodes),
    allowed: takesNone ? `nothing beside ${policy.mode}` : `a list of nodes, for ${policy.mode}`,
  });
}

/** config-linux.md: an entry without any weight is an error. */
function weightIsGiven(config: RuntimeConfig, report: Report): void {
  const devices = config.linux?.resources?.blockIO?.weightDevice ?? [];
  for (const [index, { weight, leafWeight }] of devices.entries()) {
    if (weight !== undefined || leafWeight !== undefined) continue;
    report({
      pointer: pointerTo('linux', 'resources', 'blockIO', 'weightDevice', index),
      found: 'an object without them',
      allowed: 'an object with weight, leafWeight or both',
    });
  }
}

/** config-linux.md: an entry without any limit is an error. */
function rdmaLimitIsGiven(config: RuntimeConfig, report: Report): void {
  for (const [name, limit] of Object.entries(config.linux?.resources?.rdma ?? {})) {
    if (limit.hcaHandles !== undefined || limit.hcaObjects !== undefined) continue;
    report({
      pointer: pointerTo('linux', 'resources', 'rdma', name),
      found: 'an object without them',
      allowed: 'an object with hcaHandles, hcaObjects or both',
    });
  }
}

/** config-linux.md: the burst must be no larger than a positive quota. */
function burstWithinQuota(config: RuntimeConfig, report: Report): void {
  const { burst, quota } = config.linux?.resources?.cpu ?? {};
  if (burst === undefined || quota === undefined || quota <= 0 || burst <= quota) return;
  report({
    pointer: '/linux/resources/cpu/burst',
    found: render(burst),
    allowed: `an integer up to the quota, ${quota}`,
  });
}
