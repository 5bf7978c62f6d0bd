import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linuxOf } from '../../helpers/container.ts';
import { TerminalReceiver } from '../../helpers/recvtty.ts';
import { cleanUp, ENGINES, eventually, startScow, testDirectory } from '../../helpers/scow.ts';
import { call, script, sleeping } from './support.ts';

afterEach(cleanUp);

describe.each(ENGINES)('scow exec under %s', (engine) => {
  test('passes signals on, and ends as the program does', async () => {
    const id = sleeping(engine);
    const ready = join(testDirectory(), 'ready');
    const text = 'trap "exit 7" HUP; echo ready; while :; do sleep 0.1; done';
    const { child } = startScow(['exec', id, 'sh', '-c', text], {
      engine,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.stdout?.on('data', (data) => writeFileSync(ready, data));
    const status = new Promise((resolve) => child.on('exit', resolve));
    await eventually(() => existsSync(ready));
    child.kill('SIGHUP');
    expect(await status).toBe(7);
  });

  test('gives the terminal to a console socket, and the PID and a pidfd to who asks', async () => {
    const id = sleeping(engine);
    const terminal = new TerminalReceiver(join(testDirectory(), 'console'));
    const pidfd = new TerminalReceiver(join(testDirectory(), 'pidfd'));
    const pidFile = join(testDirectory(), 'pid');
    try {
      const flags = ['--detach', '--tty', '--console-socket', terminal.path];
      const more = ['--pidfd-socket', pidfd.path, '--pid-file', pidFile];
      const program = ['sh', '-c', 'tty; read word; echo "heard <$word>"'];
      expect(call(engine, ['exec', ...flags, ...more, id, ...program])).toMatchObject({
        status: 0,
        stderr: '',
      });
      await terminal.receive();
      await terminal.sees(/\/dev\/pts\/0\r\n/);
      const fd = await pidfd.receive();
      expect(pidfd.name).toBe('setns');
      const pid = readFileSync(pidFile, 'utf8');
      expect(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')).toContain(`Pid:\t${pid}\n`);
      terminal.type('ahoy\r');
      await terminal.sees(/heard <ahoy>/);
    } finally {
      terminal.close();
      pidfd.close();
    }
  });

  test('loads the container’s seccomp filter', () => {
    const id = sleeping(engine, (config) => {
      linuxOf(config).seccomp = {
        defaultAction: 'SCMP_ACT_ALLOW',
        architectures: ['SCMP_ARCH_X86_64'],
        syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 74 }],
      };
    });
    expect(script(engine, id, 'mkdir /dev/shm/x 2>&1; grep Seccomp: /proc/self/status')).toEqual([
      "mkdir: can't create directory '/dev/shm/x': Bad message",
      'Seccomp:\t2',
    ]);
  });
});
