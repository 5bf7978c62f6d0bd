import type { IntelRdt } from '../../schemas/runtime-config.ts';
import { MAGIC } from '../linux/constants.ts';
import {
  existsSync,
  fileSystemTypeOf,
  mkdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from '../linux/files.ts';
import { dirname, join } from '../linux/path.ts';
import { codeOf, reason } from '../linux/reason.ts';

const POINTER = '/linux/intelRdt';
const USUAL_PLACE = '/sys/fs/resctrl';

/** The groups of the resctrl filesystem that a container is in. */
export interface ResctrlGroups {
  /** Absolute path of its class of service. */
  readonly group: string;
  /** Absolute path of its monitoring group. */
  readonly monitoring?: string;
  /** The one of these that was made for the container, and goes with it. */
  readonly made?: string;
}

/**
 * Finds where the resctrl filesystem is mounted.
 *
 * @throws Error in one line when it is not
 */
export function findResctrl(): string {
  const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
  const others = mountinfo
    .split('\n')
    .filter((line) => line.includes(' - resctrl '))
    .map((line) => line.split(' ')[4] ?? '');
  const found = [USUAL_PLACE, ...others].find(isResctrl);
  if (found !== undefined) return found;
  throw new Error(
    `no resctrl filesystem is mounted: leave intelRdt out or, on a machine that has it, mount one: mount -t resctrl resctrl ${USUAL_PLACE}  [${POINTER}]`,
  );
}

function isResctrl(path: string): boolean {
  try {
    return fileSystemTypeOf(path) === MAGIC.RDTGROUP_SUPER;
  } catch {
    return false;
  }
}

/** The lines for a group's `schemata` file, in the order in which they are to be written. */
function schemataOf(rdt: IntelRdt): [pointer: string, line: string][] {
  const { l3CacheSchema, memBwSchema, schemata = [] } = rdt;
  const lines: [string, string | undefined][] = [
    [`${POINTER}/l3CacheSchema`, l3CacheSchema],
    [`${POINTER}/memBwSchema`, memBwSchema],
    ...schemata.map((line, i): [string, string] => [`${POINTER}/schemata/${i}`, line]),
  ];
  return lines.filter((entry): entry is [string, string] => !!entry[1]);
}

/**
 * Looks whether a container can have the class of service that its configuration asks for
 * (config-linux.md, IntelRdt). Nothing is changed.
 *
 * @param root where resctrl is mounted
 * @throws Error in one line when the class is not there, or has another schema
 */
export function checkIntelRdt(rdt: IntelRdt, root: string): void {
  const { closID } = rdt;
  if (!closID) return;
  const group = join(root, closID);
  const lines = schemataOf(rdt);
  if (existsSync(group)) compare(group, lines);
  else if (lines.length === 0)
    throw new Error(
      `there is no class of service ${group}: make it beforehand, or give its schemata  [${POINTER}/closID]`,
    );
}

/** A class that exists is others' too: the configuration may name its schemata, not change them. */
function compare(group: string, lines: readonly (readonly [string, string])[]): void {
  const found = domains(readFileSync(join(group, 'schemata'), 'utf8'));
  for (const [pointer, line] of lines)
    for (const [domain, wanted] of domains(line)) {
      const is = found.get(domain);
      if (is !== wanted)
        throw new Error(
          `the class of service ${group} exists and has ${is === undefined ? 'nothing' : is} for ${domain}, not ${wanted}  [${pointer}]`,
        );
    }
}

/** What a schema says of each domain: of `L3:0=0f;1=f0` that `L3:0` is `f` and `L3:1` is `f0`. */
function domains(text: string): Map<string, string> {
  const all = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [resource = '', values = ''] = line.trim().split(':');
    for (const entry of values.split(';')) {
      const [id = '', value = ''] = entry.split('=').map((part) => part.trim());
      if (id !== '') all.set(`${resource}:${id}`, value.toLowerCase().replace(/^0+(?=.)/, ''));
    }
  }
  return all;
}

/**
 * Makes the groups of a container as far as they are not there, and gives them their schemata.
 *
 * @param id the container's, which names what is made for it alone
 * @param root where resctrl is mounted
 * @throws Error in one line when the kernel refuses; what was made for the container is gone then
 */
export function makeGroups(rdt: IntelRdt, id: string, root: string): ResctrlGroups {
  const group = join(root, rdt.closID || id);
  const isNew = make(group, root, `${POINTER}/closID`);
  const own = !rdt.closID && isNew;
  try {
    if (isNew)
      for (const [pointer, line] of schemataOf(rdt))
        attempt(root, `set the schema ${line} of ${group}`, pointer, () =>
          writeFileSync(join(group, 'schemata'), `${line}\n`),
        );
    if (!rdt.enableMonitoring) return own ? { group, made: group } : { group };
    const monitoring = join(group, 'mon_groups', id);
    make(monitoring, root, `${POINTER}/enableMonitoring`);
    // A class takes its monitoring groups with it.
    return { group, monitoring, made: own ? group : monitoring };
  } catch (error) {
    if (isNew) rmdirSync(group);
    throw error;
  }
}

/**
 * Changes the schemata of a container's class of service.
 *
 * @param groups those that the container is in
 * @throws Error in one line when it has no class of its own, or the kernel refuses
 */
export function changeSchemata(groups: ResctrlGroups | undefined, rdt: IntelRdt): void {
  const { group, made } = groups ?? {};
  if (group === undefined || made !== group)
    throw new Error(
      `the container has no class of service of its own, whose schemata could be changed: create it with intelRdt and without closID  [${POINTER}]`,
    );
  for (const [pointer, line] of schemataOf(rdt))
    attempt(dirname(group), `set the schema ${line} of ${group}`, pointer, () =>
      writeFileSync(join(group, 'schemata'), `${line}\n`),
    );
}

/** @returns false when it was there */
function make(directory: string, root: string, pointer: string): boolean {
  if (existsSync(directory)) return false;
  attempt(root, `make ${directory}`, pointer, () => mkdirSync(directory));
  return true;
}

/** Puts a process into a container's groups. @throws Error in one line when the kernel refuses */
export function joinGroups({ group, monitoring }: ResctrlGroups, pid: number): void {
  for (const directory of [group, monitoring])
    if (directory !== undefined)
      attempt(undefined, `put the process into ${directory}`, POINTER, () =>
        writeFileSync(join(directory, 'tasks'), String(pid)),
      );
}

/** Removes what was made for a container alone. That it is gone already is no error. */
export function removeGroups({ made }: ResctrlGroups): void {
  if (made === undefined) return;
  try {
    rmdirSync(made);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return;
    throw new Error(`cannot remove ${made}: ${reason(cause)}  [${POINTER}]`, { cause });
  }
}

function attempt(root: string | undefined, what: string, pointer: string, use: () => void): void {
  try {
    use();
  } catch (cause) {
    const told = root === undefined ? '' : kernelsWords(root);
    throw new Error(`cannot ${what}: ${reason(cause)}${told}  [${pointer}]`, { cause });
  }
}

/** Why the last operation on the filesystem failed, in the kernel's words. */
function kernelsWords(root: string): string {
  try {
    const words = readFileSync(join(root, 'info/last_cmd_status'), 'utf8').trim();
    return words === '' || words === 'ok' ? '' : `: ${words}`;
  } catch {
    return '';
  }
}
