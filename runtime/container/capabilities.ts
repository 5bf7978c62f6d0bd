import type { Process } from '../../schemas/runtime-config.ts';
import { warn } from './log.ts';

/**
 * Warns of every ambient capability that the process won't have, because it isn't permitted and
 * inheritable as well (capabilities(7)). The specification wants a warning and no error
 * (config.md, `process.capabilities`).
 */
export function warnOfAmbient({ capabilities = {} }: Process): void {
  const { ambient = [], permitted, inheritable } = capabilities;
  for (const [index, name] of ambient.entries()) {
    const missing = Object.entries({ permitted, inheritable })
      .filter(([, names]) => !names?.includes(name))
      .map(([set]) => set);
    if (missing.length > 0)
      warn(
        `can't raise ambient capability ${name}: it is not ${missing.join(' and ')} too  [/process/capabilities/ambient/${index}]`,
      );
  }
}
