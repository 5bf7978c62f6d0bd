import { O } from '../linux/constants.ts';
import { openSync } from '../linux/files.ts';
import { reason } from '../linux/reason.ts';

export type LogFormat = 'text' | 'json';
/** From the most to the least that is told. */
const LEVELS = ['debug', 'warning', 'error'] as const;
export type Level = (typeof LEVELS)[number];

/** A service of the system that keeps logs. */
export interface LogService {
  readonly descriptor: number;
  /** Never fails: a log must not stop a container. */
  write(level: Level, line: string): void;
}

/** Where messages go, as the global flags say. */
export interface LogOptions {
  /** The file that `--log` names; without one, and without a service, messages go to stderr. */
  readonly file?: string | undefined;
  readonly service?: LogService;
  readonly format: LogFormat;
  /** The least that is told. */
  readonly level: Level;
}

const STDERR = 2;

let options: LogOptions = { format: 'text', level: 'warning' };
let logFile: number | undefined;

/**
 * Sets where messages go from now on, and makes the log file if it is not there.
 *
 * @throws Error when the log file cannot be opened
 */
export function openLog(wanted: LogOptions): void {
  options = wanted;
  logFile = undefined;
  if (wanted.file === undefined) return;
  try {
    logFile = openSync(wanted.file, O.WRONLY | O.CREAT | O.APPEND, 0o644);
  } catch (cause) {
    throw new Error(`cannot open the log file ${wanted.file}: ${reason(cause)}`, { cause });
  }
}

/** The descriptor that the log is written to, if it is scow's own. */
export function logDescriptor(): number | undefined {
  return options.service?.descriptor ?? logFile;
}

/** Says what is being done, with `--debug` or `--log-level debug` only. */
export function debug(message: string): void {
  log('debug', message);
}

/** Says that something is not as it should be, but does not stop the command. */
export function warn(message: string): void {
  log('warning', message);
}

/**
 * Says why the command failed: in the log, where engines look for it, and on stderr, where people do.
 *
 * @param error its message is the line; at the level debug its stack and causes follow
 */
export function logError(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  log('error', message);
  if (logDescriptor() !== undefined) write(STDERR, `scow: ${message}\n`);
  if (error instanceof Error && options.level === 'debug')
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
      debug(cause.stack ?? cause.message);
}

function log(level: Level, message: string): void {
  if (LEVELS.indexOf(level) < LEVELS.indexOf(options.level)) return;
  const { service, format } = options;
  if (service !== undefined)
    service.write(level, format === 'json' ? formatted(level, message) : message);
  else if (logFile === undefined && format === 'text')
    write(STDERR, `scow: ${level === 'error' ? '' : `${level}: `}${message}\n`);
  else write(logFile ?? STDERR, `${formatted(level, message)}\n`);
}

function formatted(level: Level, message: string): string {
  const time = `${new Date().toISOString().slice(0, 19)}Z`;
  return options.format === 'json'
    ? JSON.stringify({ level, msg: message, time })
    : `time="${time}" level=${level} msg=${quoted(message)}`;
}

/** A value of a `key=value` line is quoted unless it is one plain word. */
function quoted(text: string): string {
  return /^[\w./@^+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** A log that cannot be written (a full disk, a reader that went away) must not stop a container. */
function write(fd: number, line: string): void {
  try {
    // Not by a system call of our own: what keeps us from making any must be said too.
    process.getBuiltinModule('node:fs').writeSync(fd, line);
  } catch {
    // There is no place left to say so.
  }
}
