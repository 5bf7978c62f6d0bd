import type { DeviceRule, Linux } from '../../schemas/runtime-config.ts';
import { pointerTo } from '../../schemas/violation.ts';

/** Something in `config.json` that scow can't do. */
export interface Refusal {
  /** JSON pointer of the field. */
  readonly pointer: string;
  readonly message: string;
}

/**
 * What a configuration asks of cgroups and scow can't give: limits by controllers, which
 * are not supported yet, and device rules that mean nothing. Objects and lists in which
 * nothing is set ask for nothing.
 *
 * @param linux `linux` of config.json, valid by its schema
 */
export function checkResources(linux: Pick<Linux, 'resources'>): Refusal[] {
  const { devices, ...controllers } = linux.resources ?? {};
  return [
    ...(devices ?? []).flatMap(checkDeviceRule),
    ...Object.entries(controllers)
      .filter(([, value]) => asksForSomething(value))
      .map(([name]) => ({
        pointer: pointerTo('linux', 'resources', name),
        message: 'is not supported yet',
      })),
  ];
}

function asksForSomething(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  return typeof value !== 'object' || Object.values(value).some(asksForSomething);
}

/** A rule without it would cover nothing, which nobody means; runc refuses it too. */
function checkDeviceRule(rule: DeviceRule, index: number): Refusal[] {
  if (rule.access) return [];
  const pointer = pointerTo('linux', 'resources', 'devices', index, 'access');
  return [{ pointer, message: 'is missing: must be one or more of "r", "w" and "m"' }];
}
