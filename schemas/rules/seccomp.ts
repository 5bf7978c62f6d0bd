/** Rules of `linux.seccomp`: config-linux.md, seccomp(2). */

import type { RuntimeConfig, Seccomp, SeccompAction } from '../runtime-config.ts';
import { pointerTo, render } from '../violation.ts';
import type { Report, Rule } from './rule.ts';

export const SECCOMP_RULES: readonly Rule[] = [
  { about: ['linux', 'seccomp'], check: errnoNeedsAction },
  { about: ['linux', 'seccomp'], reads: ['/annotations'], check: notifyNeedsListener },
  { about: ['linux', 'seccomp'], check: someCallsCannotWait },
  { about: ['linux', 'seccomp'], check: flagNeedsNotify },
  { about: ['linux', 'seccomp'], check: secondValueNeedsMask },
];

/** An errno for an action that returns none is an error. */
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
function notifyNeedsListener({ linux, annotations }: RuntimeConfig, report: Report): void {
  const seccomp = linux?.seccomp;
  if (seccomp === undefined || !notifies(seccomp)) return;
  const path = seccomp.listenerPath || annotations?.[RECEIVER];
  if (path?.startsWith('/')) return;
  report({
    pointer: '/linux/seccomp/listenerPath',
    found: render(seccomp.listenerPath),
    allowed: 'the absolute path of a Unix socket, required by SCMP_ACT_NOTIFY',
  });
}

/** What crun calls `listenerPath` in an annotation, from before the specification had it. */
const RECEIVER = 'run.oci.seccomp.receiver';

function notifies({ syscalls }: Seccomp): boolean {
  return syscalls?.some(({ action }) => action === 'SCMP_ACT_NOTIFY') ?? false;
}

/** As runc has it: whoever writes its profiles relies on these words. */
function someCallsCannotWait(config: RuntimeConfig, report: Report): void {
  const { defaultAction, syscalls = [] } = config.linux?.seccomp ?? {};
  if (defaultAction === 'SCMP_ACT_NOTIFY')
    report({
      pointer: '/linux/seccomp/defaultAction',
      found: render(defaultAction),
      allowed: 'any action but SCMP_ACT_NOTIFY, which would stop the container before it starts',
    });
  for (const [i, { names, action }] of syscalls.entries()) {
    const j = names.indexOf('write');
    if (action !== 'SCMP_ACT_NOTIFY' || j < 0) continue;
    report({
      pointer: pointerTo('linux', 'seccomp', 'syscalls', i, 'names', j),
      found: render('write'),
      allowed: 'another name: SCMP_ACT_NOTIFY cannot be used for the write syscall',
    });
  }
}

/** The kernel takes this flag only together with a listener. */
function flagNeedsNotify(config: RuntimeConfig, report: Report): void {
  const seccomp = config.linux?.seccomp;
  const flag = 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV';
  const index = seccomp?.flags?.indexOf(flag) ?? -1;
  if (seccomp === undefined || index < 0 || notifies(seccomp)) return;
  report({
    pointer: pointerTo('linux', 'seccomp', 'flags', index),
    found: render(flag),
    allowed: 'this flag only beside a system call with SCMP_ACT_NOTIFY',
  });
}

/** seccomp_rule_add(3): the other operators compare with one value. */
function secondValueNeedsMask(config: RuntimeConfig, report: Report): void {
  for (const [i, { args = [] }] of (config.linux?.seccomp?.syscalls ?? []).entries()) {
    for (const [j, { op, valueTwo }] of args.entries()) {
      // Many profiles write a 0.
      if (!valueTwo || op === 'SCMP_CMP_MASKED_EQ') continue;
      report({
        pointer: pointerTo('linux', 'seccomp', 'syscalls', i, 'args', j, 'valueTwo'),
        found: render(valueTwo),
        allowed: `nothing beside ${op}: only SCMP_CMP_MASKED_EQ has a second value`,
      });
    }
  }
}
