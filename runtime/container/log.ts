import { openSync, writeSync } from 'node:fs';
import { reason } from '../linux/reason.ts';

export type LogFormat = 'text' | 'json';
type Level = 'debug' | 'warning' | 'error';

/** Where messages go, as the global flags say. */
export interface LogOptions {
  /** The file that `--log` names; without one, messages go to stderr. */
  readonly file?: string;
  readonly format: LogFormat;
  readonly debug: boolean;
}

const STDERR = 2;

let options: LogOptions = { format: 'text', debug: false };
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
    logFile = openSync(wanted.file, 'a', 0o644);
  } catch (cause) {
    throw new Error(`cannot open the log file ${wanted.file}: ${reason(cause)}`, { cause });
  }
}

/** The descriptor of the log file, if there is one. */
export function logDescriptor(): number | undefined {
  return logFile;
}

/** Says what is being done, with `--debug` only. */
export function debug(message: string): void {
  if (options.debug) log('debug', message);
}

/** Says that something is not as it should be, but does not stop the command. */
export function warn(message: string): void {
  log('warning', message);
}

/**
 * Says why the command failed: in the log, where engines look for it, and on stderr, where people do.
 *
 * @param error its message is the line; with `--debug` its stack and causes follow
 */
export function logError(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  log('error', message);
  if (logFile !== undefined) write(STDERR, `scow: ${message}\n`);
  if (error instanceof Error)
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
      debug(cause.stack ?? cause.message);
}

function log(level: Level, message: string): void {
  if (logFile === undefined && options.format === 'text') {
    write(STDERR, `scow: ${level === 'error' ? '' : `${level}: `}${message}\n`);
    return;
  }
  const time = `${new Date().toISOString().slice(0, 19)}Z`;
  const line =
    options.format === 'json'
      ? JSON.stringify({ level, msg: message, time })
      : `time="${time}" level=${level} msg=${quoted(message)}`;
  write(logFile ?? STDERR, `${line}\n`);
}

/** A value of a `key=value` line is quoted unless it is one plain word. */
function quoted(text: string): string {
  return /^[\w./@^+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** A log that cannot be written (a full disk, a reader that went away) must not stop a container. */
function write(fd: number, line: string): void {
  try {
    writeSync(fd, line);
  } catch {
    // There is no place left to say so.
  }
}
