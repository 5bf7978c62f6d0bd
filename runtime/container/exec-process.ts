import type { CapabilityName, Process, RuntimeConfig, User } from '../../schemas/runtime-config.ts';
import { formatViolations } from '../../schemas/violation.ts';
import { readFileSync } from '../linux/files.ts';
import { reason } from '../linux/reason.ts';
import { findUser } from './exec-user.ts';

/** What differs from the container's own process, or from the file that describes another. */
export interface ProcessChanges {
  /** The program and its arguments; empty for those of the file. */
  readonly args: readonly string[];
  readonly cwd?: string;
  /** `NAME=value` each. */
  readonly env: readonly string[];
  /** `USER[:GROUP]`, by number or by name. */
  readonly user?: string;
  readonly additionalGids: readonly number[];
  readonly capabilities: readonly CapabilityName[];
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
  readonly noNewPrivileges: boolean;
  readonly terminal: boolean;
}

/** A further process of a container, by the flags of `exec`. */
export interface ProcessRequest {
  /** Absolute path of a file that describes the process: `process` of config.json. */
  readonly file?: string;
  readonly changes: ProcessChanges;
}

/**
 * The further process that is asked for. What the request leaves open is as in the container's
 * own process, but for the terminal and the arguments.
 *
 * @param config the container's configuration
 * @param pid the container's init, in whose files the names of users are looked up
 * @throws Error in one line for a process that there can't be
 */
export async function processOf(
  config: RuntimeConfig,
  { file, changes }: ProcessRequest,
  pid: number,
): Promise<Process> {
  const own = config.process;
  if (own === undefined) throw new Error('the container has no process of its own  [/process]');
  const base =
    file === undefined ? { ...own, args: [], terminal: false } : await readProcess(file, own);
  const args = changes.args.length > 0 ? changes.args : base.args;
  if (args === undefined || args.length === 0)
    throw new Error('no program to execute: give it after the container ID, or use --process FILE');
  return {
    ...base,
    args,
    terminal: base.terminal || changes.terminal,
    noNewPrivileges: base.noNewPrivileges || changes.noNewPrivileges,
    env: [...(base.env ?? []), ...changes.env],
    cwd: changes.cwd ?? base.cwd,
    user: changedUser(base.user, changes, pid),
    ...(changes.capabilities.length === 0
      ? {}
      : { capabilities: withCapabilities(base.capabilities, changes.capabilities) }),
    ...(changes.apparmorProfile === undefined ? {} : { apparmorProfile: changes.apparmorProfile }),
    ...(changes.selinuxLabel === undefined ? {} : { selinuxLabel: changes.selinuxLabel }),
  };
}

/**
 * Reads a description of a process. As with runc, what confines the container's own process
 * confines this one too unless the file says otherwise.
 */
async function readProcess(file: string, own: Process): Promise<Process> {
  const { parseJson, validateRuntimeConfig } = await import('../../schemas/validate.ts');
  const given = parseJson(readText(file), file) as Partial<Process>;
  const process = { ...given, user: given.user ?? own.user };
  const violations = validateRuntimeConfig({ ociVersion: '1.3.0', root: { path: '/' }, process });
  if (violations.length > 0)
    throw new Error(
      formatViolations(
        file,
        violations.map((violation) => ({
          ...violation,
          pointer: violation.pointer.replace(/^\/process/, ''),
        })),
      ),
    );
  const umask = process.user.umask ?? own.user.umask;
  return {
    ...given,
    ...inherited(given, own),
    env: given.env ?? own.env ?? [],
    user: { ...process.user, ...(umask === undefined ? {} : { umask }) },
  } as Process;
}

const INHERITED = [
  'capabilities',
  'rlimits',
  'apparmorProfile',
  'selinuxLabel',
  'oomScoreAdj',
  'scheduler',
  'ioPriority',
  'execCPUAffinity',
] as const;

function inherited(given: Partial<Process>, own: Process): Partial<Process> {
  const names = INHERITED.filter((name) => isNothing(given[name]) && own[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, own[name]]));
}

/** Engines write empty texts and lists for what they leave open. */
function isNothing(value: unknown): boolean {
  return value === undefined || value === '' || (Array.isArray(value) && value.length === 0);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Error(`cannot read ${file}, which --process names: ${reason(cause)}`, { cause });
  }
}

/**
 * Adds capabilities that were asked for. They become inheritable by nothing: a program that a
 * user other than root executes has them only where the container made them inheritable before.
 */
function withCapabilities(
  own: Process['capabilities'],
  added: readonly CapabilityName[],
): NonNullable<Process['capabilities']> {
  const join = (set: readonly CapabilityName[] | undefined) => [
    ...new Set([...(set ?? []), ...added]),
  ];
  const inheritable = own?.inheritable ?? [];
  const ambient = added.filter((name) => inheritable.includes(name));
  return {
    ...own,
    bounding: join(own?.bounding),
    effective: join(own?.effective),
    permitted: join(own?.permitted),
    ...(ambient.length === 0
      ? {}
      : { ambient: [...new Set([...(own?.ambient ?? []), ...ambient])] }),
  };
}

function changedUser(base: User, { user, additionalGids }: ProcessChanges, pid: number): User {
  const found = user === undefined ? base : findUser(user, base, pid);
  if (additionalGids.length === 0) return found;
  return { ...found, additionalGids: [...(found.additionalGids ?? []), ...additionalGids] };
}
