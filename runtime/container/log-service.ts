import { SOCK } from '../linux/constants.ts';
import { reason } from '../linux/reason.ts';
import { connectUnix, sendMessage } from '../linux/socket.ts';
import type { Level, LogService } from './log.ts';

/** Where each service listens, and what its datagrams look like. */
const SERVICES: Readonly<Record<string, { socket: string; datagram: typeof syslogLine }>> = {
  syslog: { socket: '/dev/log', datagram: syslogLine },
  journald: { socket: '/run/systemd/journal/socket', datagram: journalEntry },
};

/** syslog(3) */
const PRIORITY: Readonly<Record<Level, number>> = { error: 3, warning: 4, debug: 7 };
const LOG_USER = 1 << 3;

/**
 * Connects to a service that keeps logs, as `--log journald:NAME` or `syslog:NAME` ask for it.
 *
 * @param name by what name the service is to know the lines; `scow` when it is empty
 * @throws Error in one line when the service does not listen
 */
export function openService(service: string, name: string): LogService {
  const { socket, datagram } = SERVICES[service] ?? {};
  if (socket === undefined || datagram === undefined) throw new Error(`no log service ${service}`);
  let descriptor: number;
  try {
    descriptor = connectUnix(socket, SOCK.DGRAM);
  } catch (cause) {
    throw new Error(`cannot log to ${service} at ${socket}: ${reason(cause)}`, { cause });
  }
  return {
    descriptor,
    write(level, line) {
      try {
        sendMessage(descriptor, Buffer.from(datagram(PRIORITY[level], name || 'scow', line)));
      } catch {
        // There is no place left to say so.
      }
    },
  };
}

/** What syslog(3) of the C library sends, without the time: the receiver adds its own. */
function syslogLine(priority: number, name: string, line: string): string {
  return `<${LOG_USER | priority}>${name}[${process.pid}]: ${line}`;
}

/** The journal's native protocol (systemd, JOURNAL_NATIVE_PROTOCOL). */
function journalEntry(priority: number, name: string, line: string): string {
  const fields = { PRIORITY: priority, SYSLOG_IDENTIFIER: name, SYSLOG_PID: process.pid, ID: name };
  const text = Object.entries(fields).map(([key, value]) => `${key}=${oneLine(String(value))}\n`);
  return `${text.join('')}MESSAGE=${oneLine(line)}\n`;
}

/** A value with a newline would need a binary form. */
function oneLine(text: string): string {
  return text.replaceAll('\n', ' ');
}
