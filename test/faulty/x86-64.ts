/** Stands in for runtime/init/x86-64.ts: the same machine, for an init whose calls can fail. */
import { X86Machine as Machine } from '../../runtime/init/x86-64.ts';
import { errnoCode } from '../../runtime/linux/errno.ts';
import { NUMBERS } from '../../runtime/linux/numbers.ts';
import type { Label } from '../../runtime/linux/x86-64/assembler.ts';
import { type Fault, KILL, next, restart } from './fault.ts';

const NAMES = new Map(Object.entries(NUMBERS).map(([name, number]) => [number, name]));

export class X86Machine extends Machine {
  constructor() {
    super();
    restart('init');
  }

  override systemCall(nr: number, values: readonly (number | bigint)[], loads: number): void {
    // An exit can't fail.
    const fault = nr === NUMBERS.exit_group ? undefined : next('init', NAMES.get(nr) as string);
    if (fault === undefined) super.systemCall(nr, values, loads);
    else this.fail(fault);
  }

  override jumpIfMemoryEquals(
    address: number,
    width: 1 | 2 | 4,
    mask: number,
    value: number,
    to: Label,
  ): void {
    const fault = next('init', 'check');
    // What follows is what is done when memory is not as it must be.
    if (fault === undefined) super.jumpIfMemoryEquals(address, width, mask, value, to);
    else if (fault === KILL) this.fail(fault);
  }

  private fail(fault: Exclude<Fault, undefined>): void {
    // PID 1 is spared the signals that it sends to itself, but not those of its own faults.
    if (fault === KILL) this.loadResult(0);
    else this.setResult(-errnoCode(fault));
  }
}
