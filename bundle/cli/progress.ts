import { isatty } from 'node:tty';
import { TIO } from '../../runtime/linux/constants.ts';
import { STDERR, STDOUT } from '../../runtime/linux/output.ts';
import { trySyscall } from '../../runtime/linux/syscall.ts';
import type { UnpackObserver, UnpackPlan } from '../make/observer.ts';
import { isReady, tell, writeEvent, writeFailure, writeMessage } from './output.ts';

/** Milliseconds: people see no more changes than ten a second. */
const INTERVAL = 100;

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Shows an unpack to people, or reports it to a program. */
export interface Reporter extends UnpackObserver {
  /** It succeeded. @param bundle where it is */
  end(bundle: string, plan: UnpackPlan): void;
  /** It failed; the line on standard error is not this reporter's business. */
  failed(message: string): void;
  /** Takes what is only of the moment away from the screen. */
  clear(): void;
}

/** The reporter that suits: a bar on a terminal, and nothing but warnings elsewhere. */
export function reporterFor(options: { json: boolean; quiet: boolean }): Reporter {
  if (options.json) return jsonReporter();
  return options.quiet || !isatty(STDERR) ? quietReporter() : barReporter();
}

function jsonReporter(): Reporter {
  let plan: UnpackPlan | undefined;
  const due = throttle();
  return {
    begin(begun) {
      plan = begun;
      writeEvent({ event: 'begin', ...begun });
    },
    layer: (index) => writeEvent({ event: 'layer', index, ...plan?.layers[index] }),
    progress(bytes) {
      if ((due() || bytes === plan?.bytes) && isReady(STDOUT))
        writeEvent({ event: 'progress', bytes, total: plan?.bytes });
    },
    warning: (message) => writeEvent({ event: 'warning', message }),
    end: (bundle, ended) => writeEvent({ event: 'end', bundle, ...ended }),
    failed: writeFailure,
    clear() {},
  };
}

function quietReporter(): Reporter {
  return {
    begin() {},
    layer() {},
    progress() {},
    warning: (text) => writeMessage(`warning: ${text}`),
    end() {},
    failed() {},
    clear() {},
  };
}

function barReporter(): Reporter {
  let plan: UnpackPlan | undefined;
  let at = 0;
  const due = throttle();
  const clear = () => tell('\r\x1b[K');
  return {
    begin(begun) {
      plan = begun;
    },
    layer(index) {
      at = index;
    },
    progress(bytes) {
      if (plan !== undefined && due() && isReady(STDERR))
        tell(`\r${layerBar(plan, at, bytes)}\x1b[K`);
    },
    warning(text) {
      clear();
      writeMessage(`warning: ${text}`);
    },
    end(bundle, { layers, bytes, platform }) {
      clear();
      const count = `${layers.length} layer${layers.length === 1 ? '' : 's'}`;
      tell(`${bundle}: ${platform}, ${count}, ${size(bytes)}\n`);
    },
    failed: clear,
    clear,
  };
}

/** Shows how far a work is of which nobody knows how much there will be. */
export interface Counter {
  /** @param bytes so far */
  progress(bytes: number): void;
  /** Takes it away from the screen. */
  clear(): void;
}

/** The counter that suits: on a terminal a number that grows, elsewhere nothing. */
export function counterFor(what: string, quiet: boolean): Counter {
  if (quiet || !isatty(STDERR)) return { progress() {}, clear() {} };
  const due = throttle();
  return {
    progress(bytes) {
      if (due() && isReady(STDERR)) tell(`\r${what}: ${size(bytes)}\x1b[K`);
    },
    clear: () => tell('\r\x1b[K'),
  };
}

function layerBar({ layers, bytes: total }: UnpackPlan, at: number, bytes: number): string {
  return bar(`layer ${at + 1} of ${layers.length}`, bytes, total, columns());
}

/** `layer 2 of 5 [######......]  48%  12.1 of 25.0 MiB`, no wider than the terminal. */
export function bar(label: string, bytes: number, total: number, width: number): string {
  const share = total === 0 ? 1 : Math.min(1, bytes / total);
  const after = ` ${String(Math.floor(share * 100)).padStart(3)}%  ${size(bytes)} of ${size(total)}`;
  const room = Math.min(40, width - 1 - label.length - 1 - after.length - 2);
  if (room < 4) return `${label.trim()}${after}`.slice(0, width - 1);
  const done = Math.round(share * room);
  return `${label} [${'#'.repeat(done)}${'.'.repeat(room - done)}]${after}`;
}

/** A number of bytes for people: `1.4 GiB`. */
export function size(bytes: number): string {
  const step = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** step).toFixed(step === 0 ? 0 : 1)} ${UNITS[step]}`;
}

/** True at most once an interval. */
export function throttle(): () => boolean {
  let last = 0;
  return () => {
    const now = performance.now();
    if (last !== 0 && now - last < INTERVAL) return false;
    last = now;
    return true;
  };
}

/** The terminal's width: ioctl_tty(2). */
export function columns(): number {
  const size = Buffer.alloc(8);
  const known = trySyscall('ioctl', STDERR, TIO.GWINSZ, size) === 0;
  return (known && size.readUInt16LE(2)) || 80;
}
