/**
 * node fake-systemd.mjs SOCKET BEHAVIOUR LOG: a message bus with a systemd on it, which does nothing
 * but answer, and writes the names of the methods that are called into LOG.
 */
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { Writer } from '../../dist/runtime/linux/dbus/marshal.js';
import { decodeMessage, messageLength } from '../../dist/runtime/linux/dbus/message.js';

const [, , path, behaviour, log] = process.argv;
const REPLY = 2;
const ERROR = 3;
const SIGNAL = 4;
const JOB = '/org/freedesktop/systemd1/job/1';

function message(type, fields, signature = '', body = []) {
  const content = new Writer();
  content.write(`(${signature})`, body);
  const all = signature === '' ? fields : [...fields, [8, 'g', signature]];
  const header = new Writer();
  const list = all.map(([code, kind, value]) => [code, { signature: kind, value }]);
  const start = ['l'.charCodeAt(0), type, 0, 1, content.bytes.byteLength, 1];
  header.write('(yyyyuua(yv))', [...start, list]);
  header.align(8);
  return Buffer.concat([header.bytes, content.bytes]);
}

const properties = { ControlGroup: '', Version: behaviour === 'is old' ? 'v243-1' : '252.39-1' };

/** What it says to a call; nothing to none that it does not know. */
function answers({ member, body }, serial) {
  const reply = (signature, values) => message(REPLY, [[5, 'u', serial]], signature, values);
  const error = (name, text) =>
    message(
      ERROR,
      [
        [4, 's', `org.freedesktop.${name}`],
        [5, 'u', serial],
      ],
      's',
      [text],
    );
  if (member === 'Hello') return [reply('s', [':1.1'])];
  if (member === 'AddMatch' || member === 'Subscribe') return [reply()];
  if (member === 'Get') return [reply('v', [{ signature: 's', value: properties[body()[1]] }])];
  if (member === 'ResetFailedUnit') return [error('systemd1.NoSuchUnit', 'no such unit')];
  if (behaviour === 'refuses') return [error('DBus.Error.AccessDenied', 'Permission denied')];
  if (behaviour === 'has the unit') return [error('systemd1.UnitExists', 'there is one')];
  if (behaviour === 'fails') {
    const fields = [
      [1, 'o', '/org/freedesktop/systemd1'],
      [2, 's', 'org.freedesktop.systemd1.Manager'],
      [3, 's', 'JobRemoved'],
    ];
    // The signal may come before the answer.
    return [
      message(SIGNAL, fields, 'uoss', [2, '/other', 'x.scope', 'done']),
      message(SIGNAL, fields, 'uoss', [1, JOB, 'x.scope', 'failed']),
      reply('o', [JOB]),
    ];
  }
  return [];
}

const server = createServer((socket) => {
  if (behaviour === 'closes') return socket.end();
  let received = Buffer.alloc(0);
  let authenticated = false;
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    if (behaviour === 'is silent') return;
    received = Buffer.concat([received, bytes]);
    if (!authenticated) {
      const end = received.indexOf('BEGIN\r\n');
      if (end < 0) return;
      received = Buffer.from(received.subarray(end + 'BEGIN\r\n'.length));
      authenticated = true;
      socket.write(behaviour === 'rejects' ? 'REJECTED EXTERNAL\r\n' : 'DATA\r\nOK 0123\r\n');
    }
    for (;;) {
      const length = messageLength(received);
      if (length === undefined || length > received.length) return;
      const call = Buffer.from(received.subarray(0, length));
      received = Buffer.from(received.subarray(length));
      const decoded = decodeMessage(call);
      appendFileSync(log, `${decoded.member}\n`);
      // In pieces, as a stream may have it.
      for (const answer of answers(decoded, call.readUInt32LE(8))) {
        socket.write(answer.subarray(0, 10));
        socket.write(answer.subarray(10));
      }
    }
  });
});
server.listen(path, () => console.log('listening'));
