import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Resources } from '../../../schemas/resources-config.ts';
import type { DeviceRule, RuntimeConfig } from '../../../schemas/runtime-config.ts';
import { isRealRoot } from '../../linux/identity.ts';
import { Cgroup } from '../cgroup.ts';
import { DEFAULT_DEVICE_RULES } from '../devices.ts';
import { findHierarchy, type Hierarchy, pathBelowMount, unifiedPath } from '../hierarchy.ts';
import { type Setting, settingsOf } from '../settings.ts';
import { annotatedProperties } from './annotations.ts';
import { deviceProperties } from './device-allow.ts';
import { type Instance, SystemdManager } from './manager.ts';
import {
  creationProperties,
  inPercents,
  type Property,
  propertiesOf,
  property,
} from './properties.ts';
import { type Unit, unitOf } from './unit.ts';

/** How a container's unit is found again. */
export interface UnitId {
  readonly name: string;
  readonly instance: Instance;
}

/** Before it systemd does not have all the properties that are set (its NEWS). */
const OLDEST = 244;

/**
 * A container's cgroup that systemd makes: a transient scope, systemd.scope(5). It exists only with
 * a process in it, so init is born elsewhere and waits.
 */
export class Scope {
  /** What is to be written into the cgroup's files, too. */
  readonly settings: readonly Setting[];
  /** Where the hierarchy is mounted. */
  readonly mount: string;
  /** Where the cgroup is to be, below the mount. */
  readonly path: string;
  readonly #manager: SystemdManager;
  readonly #instance: Instance;
  readonly #unit: Unit;
  readonly #properties: readonly Property[];
  readonly #hierarchy: Hierarchy;
  #shortages = 0;

  private constructor(
    manager: SystemdManager,
    instance: Instance,
    unit: Unit,
    properties: readonly Property[],
    settings: readonly Setting[],
  ) {
    this.settings = settings;
    this.#hierarchy = findHierarchy();
    this.mount = this.#hierarchy.mountPoint;
    this.path = join(pathBelowMount(manager.controlGroup, this.#hierarchy), unit.path);
    this.#manager = manager;
    this.#instance = instance;
    this.#unit = unit;
    this.#properties = properties;
  }

  /**
   * Finds where a container belongs, and whether systemd answers. Nothing is made.
   *
   * @throws Error in one line
   */
  static prepare(config: RuntimeConfig, id: string): Scope {
    const { cgroupsPath, resources = {} } = config.linux ?? {};
    const instance = isRealRoot() ? 'system' : 'user';
    const unit = unitOf({ id, cgroupsPath, defaultSlice: `${instance}.slice` });
    const annotated = annotatedProperties(config.annotations ?? {});
    const settings = unitSettings(resources);
    const manager = connect(instance);
    const properties = [
      property('Description', 's', `scow container ${id}`),
      property('Slice', 's', unit.slice),
      property('Delegate', 'b', true),
      ...['Memory', 'CPU', 'IO', 'Tasks'].map((what) => property(`${what}Accounting`, 'b', true)),
      property('DefaultDependencies', 'b', false),
      ...annotated,
      ...creationProperties(settings, manager.version),
      ...propertiesOf(settings, manager.version),
      ...deviceProperties([...(resources.devices ?? []), ...DEFAULT_DEVICE_RULES]),
    ];
    return new Scope(manager, instance, unit, properties, settings);
  }

  get id(): UnitId {
    return { name: this.#unit.name, instance: this.#instance };
  }

  /**
   * Makes the scope around a process.
   *
   * @returns its cgroup, which may be elsewhere than expected: an annotation may name another slice
   * @throws Error in one line
   */
  start(pid: number): Cgroup {
    const { mountPoint } = this.#hierarchy;
    this.#shortages = shortagesBelow(dirname(join(mountPoint, this.path)));
    this.#manager.startTransientUnit(this.#unit.name, [
      property('PIDs', 'au', [pid]),
      ...this.#properties,
    ]);
    const found = unifiedPath(readFileSync(`/proc/${pid}/cgroup`, 'utf8'));
    // It has ended by now, and its cgroup with it.
    if (found.endsWith(' (deleted)')) return Cgroup.at(join(mountPoint, this.path));
    return Cgroup.at(join(mountPoint, pathBelowMount(found, this.#hierarchy)));
  }

  /**
   * Whether a memory limit was in the way of the processes. systemd removes the cgroup when they
   * have ended, and only the slice still knows.
   */
  ranOutOfMemory(): boolean {
    const path = join(this.mount, this.path);
    return Cgroup.at(path).ranOutOfMemory() || shortagesBelow(dirname(path)) > this.#shortages;
  }

  /** Stops the unit. @throws Error in one line */
  stop(): void {
    this.#manager.stopUnit(this.#unit.name);
  }

  /** Lets systemd go, which would keep for us whatever it has to tell. */
  close(): void {
    this.#manager.close();
  }
}

function connect(instance: Instance): SystemdManager {
  const manager = SystemdManager.connect(instance);
  if (manager.version >= OLDEST) return manager;
  manager.close();
  throw new Error(
    `systemd here is version ${manager.version}: --systemd-cgroup needs ${OLDEST} or newer; leave it out to use cgroupfs`,
  );
}

/** How often memory ran short for good in a cgroup and below it (cgroup-v2.rst, memory.events). */
function shortagesBelow(path: string): number {
  try {
    const events = readFileSync(join(path, 'memory.events'), 'latin1');
    return Number(/^oom (\d+)$/m.exec(events)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** The settings of a unit's cgroup that systemd has the same properties for. */
export function unitSettings(resources: Resources): Setting[] {
  return inPercents(settingsOf(resources));
}

/**
 * Tells systemd of new limits of a unit.
 *
 * @param settings of {@link unitSettings}
 * @param devices the new device rules, all of them; none when these do not change
 * @throws Error in one line
 */
export function updateUnit(
  unit: UnitId,
  settings: readonly Setting[],
  devices: readonly DeviceRule[],
): void {
  withManager(unit, (manager) =>
    manager.setProperties(unit.name, [
      ...propertiesOf(settings, manager.version),
      ...(devices.length === 0 ? [] : deviceProperties([...devices, ...DEFAULT_DEVICE_RULES])),
    ]),
  );
}

/** Stops a container's unit, when its processes have ended. @throws Error in one line */
export function stopUnit(unit: UnitId): void {
  withManager(unit, (manager) => manager.stopUnit(unit.name));
}

/**
 * Has systemd move a process into a container's cgroup, or one below it.
 *
 * @param below path of the cgroup from that of the unit, beginning with a slash
 * @throws Error in one line
 */
export function attachToUnit(unit: UnitId, below: string, pid: number): void {
  withManager(unit, (manager) => manager.attach(unit.name, below, pid));
}

function withManager({ instance }: UnitId, act: (manager: SystemdManager) => void): void {
  const manager = connect(instance);
  try {
    act(manager);
  } finally {
    manager.close();
  }
}
