import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { startRelay } from '../../runtime/container/terminal/relay.ts';
import { openTerminal } from './pty.ts';

/**
 * A `run -t` without a container: runs a shell command on a terminal of its own, to which the
 * caller's is relayed, and exits with its status. SIGUSR1 ends it in the way that the
 * environment variable ON_USR1 names; with FORWARD set, SIGTERM goes to the shell.
 */
export async function relayDemo(command: string): Promise<void> {
  const { master, slave } = openTerminal();
  const relay = startRelay({ master, input: 0, output: 1 });
  const child = spawn('setsid', ['--ctty', 'sh', '-c', command], {
    stdio: [slave, slave, slave],
  });
  closeSync(slave);
  const ends: Record<string, () => void> = {
    throw: () => {
      throw new Error('thrown on request');
    },
    exit: () => process.exit(9),
    restore: () => relay.restore(),
  };
  process.on('uncaughtException', (error) => {
    console.error(error.message);
    process.exit(1);
  });
  process.on('SIGUSR1', () => ends[process.env.ON_USR1 ?? '']?.());
  if (process.env.FORWARD !== undefined) process.on('SIGTERM', () => child.kill('SIGTERM'));
  const status = await new Promise<number>((resolve) => {
    child.on('exit', (code) => resolve(code ?? 128));
  });
  await relay.finish();
  process.exitCode = status;
}
