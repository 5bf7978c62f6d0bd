import { socketsOf } from '../../linux/dbus/address.ts';
import { Connection, ErrorReply, NoAnswer } from '../../linux/dbus/connection.ts';
import type { Value, Variant } from '../../linux/dbus/marshal.ts';
import { reason } from '../../linux/reason.ts';
import type { Property } from './properties.ts';

/** The systemd that starts the machine, or that of a user (user@.service(5)). */
export type Instance = 'system' | 'user';

/** Milliseconds that systemd gets for each answer: it may be busy with much else. */
const PATIENCE = 30_000;

const SYSTEMD = 'org.freedesktop.systemd1';
const OBJECT = '/org/freedesktop/systemd1';
const MANAGER = `${SYSTEMD}.Manager`;
const BUS = 'org.freedesktop.DBus';
const BUS_OBJECT = '/org/freedesktop/DBus';

/** Where systemd itself listens, below the runtime directory: systemctl(1) goes there too. */
const PRIVATE = 'systemd/private';
const SYSTEM_BUS = '/run/dbus/system_bus_socket';

/** A place where systemd may be reached. */
interface Place {
  readonly socket: string;
  /** A message bus is there, which has other programs too. */
  readonly bus: boolean;
}

/** The manager object of a systemd (org.freedesktop.systemd1(5)). */
export class SystemdManager {
  readonly #connection: Connection;
  /** The cgroup that it begins at: `/`, or that of a user's service. */
  readonly controlGroup: string;
  /** The number of its version, such as 252. */
  readonly version: number;

  private constructor(connection: Connection) {
    this.#connection = connection;
    this.controlGroup = String(this.#get('ControlGroup')) || '/';
    this.version = Number(/\d+/.exec(String(this.#get('Version')))?.[0] ?? 0);
  }

  /**
   * Connects to a systemd.
   *
   * @param limit milliseconds that each answer may take
   * @throws Error in one line
   */
  static connect(instance: Instance, limit = PATIENCE): SystemdManager {
    const failures: string[] = [];
    for (const place of placesOf(instance)) {
      try {
        return SystemdManager.#at(place, limit);
      } catch (error) {
        failures.push(`${place.socket}: ${reason(error)}`);
        if (error instanceof NoAnswer) break;
      }
    }
    throw new Error(unreachable(instance, failures));
  }

  static #at({ socket, bus }: Place, limit: number): SystemdManager {
    const connection = Connection.open(socket, limit);
    try {
      if (bus) joinBus(connection);
      return new SystemdManager(connection);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /**
   * Makes a transient unit and waits until it is active. One of this name that failed earlier is
   * forgotten first.
   *
   * @throws Error in one line
   */
  startTransientUnit(unit: string, properties: readonly Property[]): void {
    const body = [unit, 'replace', properties.map(toStructure), []];
    const start = () => this.#job('StartTransientUnit', 'ssa(sv)a(sa(sv))', body);
    try {
      const result = this.#again(unit, start);
      if (result === 'done') return;
      this.#forget(unit);
      throw new Error(`its job ended with «${result}»`);
    } catch (cause) {
      throw new Error(`systemd did not make the unit ${unit}: ${explain(cause)}`, { cause });
    }
  }

  /**
   * Changes properties of a unit, until the machine is started anew.
   *
   * @throws Error in one line
   */
  setProperties(unit: string, properties: readonly Property[]): void {
    try {
      this.#call('SetUnitProperties', 'sba(sv)', [unit, true, properties.map(toStructure)]);
    } catch (cause) {
      throw new Error(`systemd did not change the unit ${unit}: ${explain(cause)}`, { cause });
    }
  }

  /**
   * Has a process moved into a unit, also by who may not move it.
   *
   * @param cgroup below the unit's own, beginning with a slash
   * @throws Error in one line
   */
  attach(unit: string, cgroup: string, pid: number): void {
    try {
      this.#call('AttachProcessesToUnit', 'ssau', [unit, cgroup, [pid]]);
    } catch (cause) {
      const what = `systemd did not move process ${pid} into the unit ${unit}`;
      throw new Error(`${what}: ${explain(cause)}`, { cause });
    }
  }

  /**
   * Stops a unit and waits until it has, and has it forgotten if it failed. No error when there
   * is none.
   *
   * @throws Error in one line
   */
  stopUnit(unit: string): void {
    try {
      this.#job('StopUnit', 'ss', [unit, 'replace']);
    } catch (cause) {
      if (!isAbout(cause, 'NoSuchUnit'))
        throw new Error(`systemd did not stop the unit ${unit}: ${explain(cause)}`, { cause });
    }
    this.#forget(unit);
  }

  close(): void {
    this.#connection.close();
  }

  /** A unit that has failed keeps its name until it is reset. */
  #again(unit: string, start: () => string): string {
    try {
      return start();
    } catch (error) {
      if (!isAbout(error, 'UnitExists')) throw error;
      this.#forget(unit);
      return start();
    }
  }

  /** One that did not fail is not concerned, and may be gone. */
  #forget(unit: string): void {
    try {
      this.#call('ResetFailedUnit', 's', [unit]);
    } catch (error) {
      if (!(error instanceof ErrorReply)) throw error;
    }
  }

  /** Calls a method that returns a job, and waits for its end. @returns how it ended */
  #job(member: string, signature: string, body: readonly Value[]): string {
    const [job] = this.#call(member, signature, body);
    const [, , , result] = this.#connection.awaitSignal('JobRemoved', ([, path]) => path === job);
    return String(result);
  }

  #get(name: string): Value {
    const [variant] = this.#connection.call({
      destination: SYSTEMD,
      path: OBJECT,
      interface: `${BUS}.Properties`,
      member: 'Get',
      signature: 'ss',
      body: [MANAGER, name],
    });
    return (variant as Variant).value;
  }

  #call(member: string, signature: string, body: readonly Value[]): readonly Value[] {
    const object = { destination: SYSTEMD, path: OBJECT, interface: MANAGER };
    return this.#connection.call({ ...object, member, signature, body });
  }
}

function toStructure([name, value]: Property): Value {
  return [name, value];
}

/** On a bus one needs a name, and gets only the signals that one asks for. */
function joinBus(connection: Connection): void {
  const bus = { destination: BUS, path: BUS_OBJECT, interface: BUS };
  connection.call({ ...bus, member: 'Hello', signature: '', body: [] });
  const rule = `type='signal',sender='${SYSTEMD}',interface='${MANAGER}',member='JobRemoved'`;
  connection.call({ ...bus, member: 'AddMatch', signature: 's', body: [rule] });
  const manager = { destination: SYSTEMD, path: OBJECT, interface: MANAGER };
  connection.call({ ...manager, member: 'Subscribe', signature: '', body: [] });
}

/** In the order in which they are tried: the address that the caller gives, then the shortest way. */
function placesOf(instance: Instance): Place[] {
  const { DBUS_SYSTEM_BUS_ADDRESS, DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR } = process.env;
  const address = instance === 'user' ? DBUS_SESSION_BUS_ADDRESS : DBUS_SYSTEM_BUS_ADDRESS;
  const given = socketsOf(address ?? '', XDG_RUNTIME_DIR).map((socket) => ({ socket, bus: true }));
  const directory = instance === 'user' ? XDG_RUNTIME_DIR : '/run';
  if (!directory) return given;
  const bus = instance === 'user' ? `${directory}/bus` : SYSTEM_BUS;
  return [
    ...given,
    { socket: `${directory}/${PRIVATE}`, bus: false },
    ...(given.some(({ socket }) => socket === bus) ? [] : [{ socket: bus, bus: true }]),
  ];
}

function unreachable(instance: Instance, failures: readonly string[]): string {
  const why = failures.length > 0 ? failures.join('; ') : 'XDG_RUNTIME_DIR is not set';
  const isUsers = instance === 'user';
  const login = 'log in, or have it started without a login (loginctl enable-linger), or ';
  return (
    `cannot reach ${isUsers ? "the user's systemd" : 'systemd'}: ${why}: ` +
    `${isUsers ? login : ''}leave --systemd-cgroup out to use cgroupfs`
  );
}

function isAbout(error: unknown, name: string): boolean {
  return error instanceof ErrorReply && error.errorName.endsWith(`.${name}`);
}

function explain(error: unknown): string {
  if (isAbout(error, 'UnitExists'))
    return 'there is one of this name: choose another linux.cgroupsPath or container ID  [/linux/cgroupsPath]';
  if (isAbout(error, 'AccessDenied') || isAbout(error, 'InteractiveAuthorizationRequired'))
    return `${reason(error)}: neither is this user root, nor does polkit allow it`;
  return reason(error);
}
