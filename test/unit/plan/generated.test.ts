import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '../../../runtime/init/compile.ts';
import type { Facts } from '../../../runtime/plan/facts.ts';
import type { Step } from '../../../runtime/plan/step.ts';
import { flatten } from '../../../runtime/plan/walk.ts';
import { defaultConfig, rootlessConfig } from '../../../schemas/default-config.ts';
import type { RuntimeConfig } from '../../../schemas/runtime-config.ts';
import { disassemble } from '../../helpers/disassemble.ts';
import { fullConfig } from '../../helpers/full-config.ts';
import { callsOf, planOf } from '../../helpers/plans.ts';

/** What a runtime's `spec` command writes. */
function spec(runtime: 'runc' | 'crun', ...flags: string[]): RuntimeConfig {
  const folder = mkdtempSync(join(tmpdir(), 'scow-spec-'));
  try {
    execFileSync(runtime, ['spec', ...flags], { cwd: folder });
    return JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Every property of the specification, but for ID-mapped mounts, which are refused. */
function everything(): RuntimeConfig {
  const config = fullConfig();
  const mounts = config.mounts?.filter(({ options }) => !options?.includes('idmap')) ?? [];
  return { ...config, mounts };
}

const CONFIGS: [name: string, config: RuntimeConfig][] = [
  ['scow spec', defaultConfig()],
  ['scow spec --rootless', rootlessConfig(defaultConfig(), 1000, 1000)],
  ['runc spec', spec('runc')],
  ['runc spec --rootless', spec('runc', '--rootless')],
  ['crun spec', spec('crun')],
  ['crun spec --rootless', spec('crun', '--rootless')],
  ['a configuration of everything', everything()],
];

const HOSTS: [name: string, facts: Partial<Facts>][] = [
  ['as root', {}],
  ['as an ordinary user', { privileged: false }],
  ['in a container', { nested: true, ignoredSignals: [13, 25] }],
];

/** A loop has the code for one value. */
function once(step: Step): Step {
  return step.kind === 'each' ? { ...step, values: step.values.slice(0, 1) } : step;
}

const CASES = CONFIGS.flatMap(([name, config]) =>
  HOSTS.map(([host, facts]) => [name, host, config, facts] as const),
);

describe.each(CASES)('%s, %s', (_, __, config, facts) => {
  const plan = planOf(config, facts, { awaitCgroup: true, foreground: true });
  const numbers = plan.descriptors.map(({ name }, i) => [name, plan.firstDescriptor + i] as const);
  const elf = compile(plan.steps, new Map(numbers));
  const code = disassemble(elf);

  test('its code is whole: objdump reads every instruction, jumps lead to instructions', () => {
    expect(code.filter((text) => text.includes('(bad)'))).toEqual([]);
    const kinds = new Set(code.map((text) => text.split(' ')[0]));
    const known = [
      'mov',
      'movabs',
      'xor',
      'and',
      'cmp',
      'neg',
      'syscall',
      'jmp',
      'je',
      'jne',
      'jb',
      'jae',
      'ud2',
      'add',
    ];
    expect([...kinds].filter((kind) => !known.includes(kind as string))).toEqual([]);
  });

  test('it makes each system call of the plan, and those of the talk', () => {
    const reports = flatten(plan.steps).filter(({ kind }) => kind === 'report');
    const waits = reports.filter((step) => step.kind === 'report' && step.answer !== undefined);
    const forks = flatten(plan.steps).filter(({ kind }) => kind === 'fork');
    const spawns = flatten(plan.steps).filter(({ kind }) => kind === 'spawn');
    // Of each wait one receives, one ends init when scow is gone; a fork makes a process, ends, and reports.
    const talk = reports.length + 2 * waits.length + 3 * forks.length;
    // A spawn makes a process, which ends; reports twice, waits twice, and reaps; and closes a pidfd.
    const spawning = (2 + 2 + 2 * 2 + 1 + 1) * spawns.length;
    // The progress page and the exit without it; the end; the report of a failure and the exit.
    const frame = 2 + 1 + 2;
    const made = code.filter((text) => text === 'syscall').length;
    expect(made).toBe(callsOf(plan.steps.map(once)).length + talk + spawning + frame);
  });

  test('it is small', () => {
    expect(elf.length).toBeLessThan(32 * 1024);
  });

  test('it keeps the number of each step in the progress page', () => {
    const stored = code.flatMap(
      (text) => /^mov DWORD PTR ds:0x200000,0x([0-9a-f]+)$/.exec(text)?.[1] ?? [],
    );
    // That of a step in a loop is a sum.
    let before = 0;
    const constant = plan.steps.flatMap((step) => {
      const numbers = flatten([step]).map((_, i) => before + i + 1);
      before += numbers.length;
      return step.kind === 'each' ? numbers.slice(0, 1) : numbers;
    });
    expect(stored).toEqual(constant.map((number) => number.toString(16)));
  });
});
