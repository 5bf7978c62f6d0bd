/**
 * Steps by their numbers: from 1 on, in the order of a plan, each before those that are nested in it.
 * What is done for each of some values has numbers of its own for each.
 */

import type { EachStep, Step, Value } from './step.ts';

/** Every step of a list, nested ones too, in the order of their numbers. */
export function flatten(steps: readonly Step[]): Step[] {
  const all: Step[] = [];
  collect(steps, all);
  return all;
}

function collect(steps: readonly Step[], into: Step[]): void {
  for (const step of steps) {
    into.push(step);
    if (step.kind === 'first') for (const list of step.of) collect(list, into);
    if (step.kind === 'spawn') collect(step.of, into);
    if (step.kind === 'each') for (const i of step.values.keys()) collect(turn(step, i), into);
  }
}

/** How many numbers the steps of a list have. */
export function count(steps: readonly Step[]): number {
  let all = steps.length;
  for (const step of steps) all += countNested(step);
  return all;
}

function countNested(step: Step): number {
  if (step.kind === 'spawn') return count(step.of);
  if (step.kind === 'each') return step.values.length * count(step.of);
  if (step.kind !== 'first') return 0;
  let all = 0;
  for (const list of step.of) all += count(list);
  return all;
}

/** The step of a list with a number; undefined when there is none. */
export function stepAt(steps: readonly Step[], number: number): Step | undefined {
  let left = number;
  if (left < 1) return undefined;
  for (const step of steps) {
    left -= 1;
    if (left === 0) return step;
    const nested = countNested(step);
    if (left <= nested) return stepWithin(step, left);
    left -= nested;
  }
  return undefined;
}

/** @param number from 1 on, among the steps that are nested in this one */
function stepWithin(step: Step, number: number): Step | undefined {
  if (step.kind === 'spawn') return stepAt(step.of, number);
  if (step.kind === 'first') return stepAt(step.of.flat(), number);
  if (step.kind !== 'each') return undefined;
  const length = count(step.of);
  const index = Math.floor((number - 1) / length);
  return stepAt(turn(step, index), number - index * length);
}

/** The kinds of a list's steps, nested ones too. */
export function kindsOf(steps: readonly Step[], into = new Set<Step['kind']>()): Set<Step['kind']> {
  for (const step of steps) {
    into.add(step.kind);
    if (step.kind === 'first') for (const list of step.of) kindsOf(list, into);
    if (step.kind === 'spawn' || step.kind === 'each') kindsOf(step.of, into);
  }
  return into;
}

/** What is done for one of the values. */
function turn({ of, as, values, origin }: EachStep, index: number): Step[] {
  const value = values[index] as Value;
  const here = origin(index);
  const filledIn = (one: Value): Value =>
    typeof one === 'object' && 'result' in one && one.result === as ? value : one;
  const fill = (step: Step): Step => {
    if (step.kind === 'call') return { ...step, args: step.args.map(filledIn), ...here };
    if (step.kind === 'set') return { ...step, value: filledIn(step.value), ...here };
    if (step.kind === 'first')
      return { ...step, of: step.of.map((list) => list.map(fill)), ...here };
    return { ...step, ...here };
  };
  return of.map(fill);
}
