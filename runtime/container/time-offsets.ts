import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { writeFileSync } from '../linux/files.ts';
import { codeOf, reason } from '../linux/reason.ts';

/**
 * Sets the clocks of the time namespace that init made for its child (time_namespaces(7)).
 *
 * @param pid init's PID
 * @throws Error in one line when the kernel refuses
 */
export function writeTimeOffsets(config: RuntimeConfig, pid: number): void {
  const lines = Object.entries(config.linux?.timeOffsets ?? {}).map(
    ([clock, { secs = 0, nanosecs = 0 }]) => `${clock} ${secs} ${nanosecs}\n`,
  );
  try {
    writeFileSync(`/proc/${pid}/timens_offsets`, lines.join(''));
  } catch (cause) {
    const hint =
      codeOf(cause) === 'ERANGE'
        ? ': no clock may be set to before its start, nor to more than 146 years after it'
        : '';
    throw new Error(
      `cannot set the clocks of the time namespace: ${reason(cause)}${hint}  [/linux/timeOffsets]`,
      { cause },
    );
  }
}
