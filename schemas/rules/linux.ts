/** Rules of the `linux` part that have nothing to do with IDs. */

import type { NamespaceType, RuntimeConfig, SeccompAction } from '../runtime-config.ts';
import { pointerTo, render } from '../violation.ts';
import { hasNamespace, type Report, type Rule } from './rule.ts';

export const LINUX_RULES: readonly Rule[] = [
  { reads: ['/linux/sysctl', '/linux/namespaces'], check: sysctlIsNamespaced },
  { reads: ['/linux/seccomp'], check: errnoNeedsAction },
  { reads: ['/linux/seccomp'], check: notifyNeedsListener },
  { reads: ['/linux/memoryPolicy'], check: policyAndNodes },
  { reads: ['/linux/resources/blockIO/weightDevice'], check: weightIsGiven },
  { reads: ['/linux/resources/rdma'], check: rdmaLimitIsGiven },
  { reads: ['/linux/resources/cpu'], check: burstWithinQuota },
];

/** Kernel parameters that a namespace has for itself, by their path below /proc/sys. */
const NAMESPACED: readonly (readonly [RegExp, NamespaceType])[] = [
  [/^net\/./, 'network'],
  [/^fs\/mqueue\/./, 'ipc'],
  [/^kernel\/(sem|shm\w+|msg(max|mni|mnb))$/, 'ipc'],
  [/^kernel\/domainname$/, 'uts'],
];

const NAMESPACED_IN_WORDS =
  'a kernel parameter that namespaces have for themselves (net.*, fs.mqueue.*, kernel.sem, kernel.shm*, kernel.msgmax, kernel.msgmnb, kernel.msgmni, kernel.domainname)';

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

/** config-linux.md: an errno for an action that returns none is an error. */
function errnoNeedsAction(config: RuntimeConfig, report: Report): void {
  const seccomp = config.linux?.seccomp;
  if (seccomp === undefined) return;
  const { defaultAction, defaultErrnoRet, syscalls = [] } = seccomp;
  errnoFits(report, defaultAction, defaultErrnoRet, 'defaultErrnoRet');
  for (const [index, { action, errnoRet }] of syscalls.entries()) {
    errnoFits(report, action, errnoRet, 'syscalls', index, 'errnoRet');
  }
}

function errnoFits(
  report: Report,
  action: SeccompAction,
  errno: number | undefined,
  ...place: readonly (string | number)[]
): void {
  const hasErrno = action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE';
  if (errno === undefined || hasErrno) return;
  report({
    pointer: pointerTo('linux', 'seccomp', ...place),
    found: render(errno),
    allowed: `nothing beside ${action}: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have an errno`,
  });
}

/** Without an agent that answers, a call that is to be notified would wait for ever. */
function notifyNeedsListener(config: RuntimeConfig, report: Report): void {
  const seccomp = config.linux?.seccomp;
  if (seccomp === undefined) return;
  if (seccomp.defaultAction === 'SCMP_ACT_NOTIFY') {
    report({
      pointer: '/linux/seccomp/defaultAction',
      found: render(seccomp.defaultAction),
      allowed: 'any action but SCMP_ACT_NOTIFY, which would stop the container before it starts',
    });
  }
  const notifies = seccomp.syscalls?.some(({ action }) => action === 'SCMP_ACT_NOTIFY') ?? false;
  if (notifies && (seccomp.listenerPath ?? '') === '') {
    report({
      pointer: '/linux/seccomp/listenerPath',
      found: render(seccomp.listenerPath),
      allowed: 'the path of a Unix socket, required by SCMP_ACT_NOTIFY',
    });
  }
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
