import { planContainer } from '../../runtime/plan/container.ts';
import type { Facts, PlanOptions } from '../../runtime/plan/facts.ts';
import type { Plan } from '../../runtime/plan/plan.ts';
import type { CallStep, Step, Value } from '../../runtime/plan/step.ts';
import { flatten } from '../../runtime/plan/walk.ts';
import type { RuntimeConfig } from '../../schemas/runtime-config.ts';

/** A host whose root runs scow: nothing of it is read from the machine. */
const FACTS: Facts = {
  privileged: true,
  nested: false,
  ignoredSignals: [],
  lastCapability: 40,
  kcore: true,
  rootfs: '/bundle/rootfs',
  destinations: new Map(),
  sources: new Map(),
  cgroup: { mount: '/sys/fs/cgroup', path: '/scow/test' },
  caller: { environment: [], umask: 0o022, ignoredSignals: [] },
};

const OPTIONS: PlanOptions = {
  id: 'test',
  bundle: '/bundle',
  preserveFds: 0,
  preserved: [],
  noPivot: false,
  noNewKeyring: false,
  awaitCgroup: false,
  foreground: false,
};

/** The plan for a configuration on the host of {@link FACTS}. */
export function planOf(
  config: RuntimeConfig,
  facts: Partial<Facts> = {},
  options: Partial<PlanOptions> = {},
): Plan {
  return planContainer(config, { ...FACTS, ...facts }, { ...OPTIONS, ...options });
}

/** The smallest configuration that a plan can be made of, with the given changes. */
export function minimal(change: Partial<RuntimeConfig> = {}): RuntimeConfig {
  return {
    ociVersion: '1.0.2',
    root: { path: 'rootfs' },
    process: { args: ['/bin/true'], cwd: '/', user: { uid: 0, gid: 0 } },
    linux: { namespaces: [{ type: 'mount' }] },
    ...change,
  };
}

/** The minimal configuration's process, with the given changes. */
export function processOf(
  change: Partial<NonNullable<RuntimeConfig['process']>>,
): NonNullable<RuntimeConfig['process']> {
  return { args: ['/bin/true'], cwd: '/', user: { uid: 0, gid: 0 }, ...change };
}

/** All system calls of a plan or list, nested ones too. */
export function callsOf(steps: readonly Step[]): CallStep[] {
  return flatten(steps).filter((step) => step.kind === 'call');
}

/** A step in one line, as a reader of strace would expect it. */
export function show(step: Step): string {
  if (step.kind === 'call') return `${step.name}(${step.args.map(showValue).join(', ')})`;
  if (step.kind === 'report') return `report ${step.point}`;
  if (step.kind === 'check') return `check ${step.at.place} or ${step.errno}`;
  if (step.kind === 'tell') return `tell ${showValue(step.value)}`;
  if (step.kind === 'set') return `${step.result} = ${showValue(step.value)}`;
  return step.kind;
}

/** A value of a step: results, descriptors and places by their names. */
function showValue(value: Value): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object') return String(value);
  if ('text' in value) return value.text;
  if ('result' in value) return value.result;
  if ('inherited' in value) return `<${value.inherited}>`;
  if ('bytes' in value) return `<${value.bytes.byteLength} bytes>`;
  if ('place' in value) return `&${value.place}`;
  return `{${value.fields.map((field) => showValue(field.value)).join(', ')}}`;
}

/** The least configuration with these properties of Linux. */
export const linux = (change: NonNullable<RuntimeConfig['linux']>): RuntimeConfig =>
  minimal({ linux: { namespaces: [{ type: 'mount' }], ...change } });

/** The steps with a pointer, one line each; sub-steps too. */
export function stepsOf(config: RuntimeConfig, pointer: string): string[] {
  return flatten(planOf(config).steps)
    .filter((step) => step.pointer === pointer)
    .map((step: Step) => show(step));
}
