import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sendTerminal } from '../../../../runtime/container/terminal/console-socket.ts';
import { setWindowSize, windowSize } from '../../../../runtime/container/terminal/size.ts';
import { AF_UNIX } from '../../../../runtime/linux/constants.ts';
import { syscall } from '../../../../runtime/linux/syscall.ts';
import { openTerminal } from '../../../helpers/pty.ts';
import { TerminalReceiver } from '../../../helpers/recvtty.ts';

const SOCK_DGRAM = 2;

let folder: string;
let master: number;
let slave: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scow-console-'));
  ({ master, slave } = openTerminal());
});
afterEach(() => {
  closeSync(master);
  closeSync(slave);
  rmSync(folder, { recursive: true });
});

test('the terminal works in the hands of whoever listens', async () => {
  const receiver = new TerminalReceiver(join(folder, 'console'));
  sendTerminal(receiver.path, master);
  const received = await receiver.receive();
  expect(receiver.name).toBe('/dev/ptmx');
  setWindowSize(received, { rows: 12, columns: 34 });
  const program = spawn('setsid', ['--ctty', 'sh', '-c', 'read word; echo "<$word>"; stty size'], {
    stdio: [slave, slave, slave],
  });
  const ended = new Promise((resolve) => program.on('exit', resolve));
  receiver.type('over here\n');
  await receiver.sees(/<over here>\r\n12 34\r\n/);
  await ended;
  receiver.close();
});

/** Another implementation of the receiving side: Python's. */
const PYTHON = `
import array, os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(sys.argv[1])
server.listen(1)
print("listening", flush=True)
connection, _ = server.accept()
data, control, flags, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4 * 8))
(level, kind, descriptors), = control
fds = array.array("i", descriptors)
print(data.decode(), flags & socket.MSG_CTRUNC, (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS),
      len(fds), os.isatty(fds[0]), connection.recv(1))
`;

test('a receiver that is not ours gets one message with one descriptor, then the end', async () => {
  const path = join(folder, 'console');
  const python = spawn('python3', ['-c', PYTHON, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  await new Promise<void>((resolve) =>
    python.stdout.on('data', (text) => {
      output += text;
      resolve();
    }),
  );
  sendTerminal(path, master);
  await new Promise((resolve) => python.on('close', resolve));
  expect(output).toBe("listening\n/dev/ptmx 0 True 1 True b''\n");
});

describe('one line says why nobody takes the terminal', () => {
  const refusal = (path: string) => () => sendTerminal(path, master);

  test('no such file', () => {
    expect(refusal(join(folder, 'none'))).toThrow(
      `cannot send the terminal to console socket ${folder}/none: no such file: ` +
        'its owner must make it and listen before the container is created',
    );
  });

  test('a plain file', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(refusal(join(folder, 'file'))).toThrow(/file: it is not a socket$/);
  });

  test('a folder', () => {
    expect(refusal(folder)).toThrow(/: it is not a socket$/);
  });

  test('a socket whose listener is gone', () => {
    const receiver = new TerminalReceiver(join(folder, 'left'));
    receiver.close({ keepFile: true });
    expect(refusal(receiver.path)).toThrow(/left: nobody listens on it$/);
  });

  test('a datagram socket', () => {
    const path = join(folder, 'datagrams');
    const socket = syscall('socket', AF_UNIX, SOCK_DGRAM, 0);
    const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(`${path}\0`)]);
    syscall('bind', socket, address, address.byteLength);
    expect(refusal(path)).toThrow(/datagrams: it is not a stream socket$/);
    closeSync(socket);
  });
});

test('sizes are read from either side; a terminal without one, and a file, have none', () => {
  expect(windowSize(master)).toBeUndefined();
  setWindowSize(master, { rows: 50, columns: 132 });
  expect(windowSize(slave)).toEqual({ rows: 50, columns: 132 });
  setWindowSize(slave, { rows: 0, columns: 132 });
  expect(windowSize(master)).toBeUndefined();
  const file = openSync('/dev/null', 'r');
  expect(windowSize(file)).toBeUndefined();
  expect(() => setWindowSize(file, { rows: 1, columns: 1 })).toThrow(/ENOTTY/);
  closeSync(file);
});
