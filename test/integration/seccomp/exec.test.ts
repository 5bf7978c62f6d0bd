import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { both, commandLine, type Runtime } from '../../helpers/container.ts';
import { bundleOf, cleanUp, ENGINES, newId, scow, testDirectory } from '../../helpers/scow.ts';
import { Agent } from './agent.ts';
import { compileCalls, confined, executing, gaining, NR, removeCalls } from './calls.ts';

beforeAll(compileCalls);
afterAll(removeCalls);
afterEach(cleanUp);

const CALLS = ['/tmp/calls', NR.getsid, NR.getpgid].map(String);
const ENOMEDIUM = 123;

/** Runs a command of scow while agents work. */
function beside(runtime: Runtime, ...args: string[]) {
  const [command = '', ...first] = commandLine(runtime);
  const child = spawn(command, [...first, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  return new Promise<object>((resolve) =>
    // Its output may stay open in a container.
    child.on('exit', (status) => setTimeout(() => resolve({ status, stdout, stderr }), 50)),
  );
}

describe.each(ENGINES)('a further process (%s)', (engine) => {
  test.each([true, false])('is confined as the first; privileges can be gained: %s', (gains) => {
    const id = newId();
    const profile = confined({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['getsid', 'sendmsg', 'recvfrom'], action: 'SCMP_ACT_ERRNO' }],
    });
    const bundle = bundleOf(both(executing('sleep', '1000'), profile, gaining(gains)));
    const exec = (...args: string[]) => scow(['exec', ...args], { engine });
    expect(scow(['run', '--detach', '--bundle', bundle, id], { engine })).toMatchObject({
      status: 0,
      stderr: '',
    });
    for (const user of ['0', '1000:1000'])
      expect(exec('--user', user, id, ...CALLS)).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/^-1\n\d+\n$/),
        stderr: '',
      });
    const words = '^(CapEff|NoNewPrivs|Seccomp|Seccomp_filters):';
    expect(exec(id, 'grep', '-E', words, '/proc/self/status').stdout.split('\n')).toEqual([
      'CapEff:\t0000000020000420',
      `NoNewPrivs:\t${gains ? 0 : 1}`,
      'Seccomp:\t2',
      'Seccomp_filters:\t1',
      '',
    ]);
    expect(exec('--no-new-privs', id, ...CALLS).stdout).toMatch(/^-1\n\d+\n$/);
  });

  test.each([true, false])('has a listener of its own; can gain privileges: %s', async (gains) => {
    const id = newId();
    const path = join(testDirectory(), 'agent');
    const names = ['getsid', 'execve', 'read', 'capset', 'sendmsg', 'recvfrom'];
    const profile = confined({
      defaultAction: 'SCMP_ACT_ALLOW',
      listenerPath: path,
      syscalls: [{ names, action: 'SCMP_ACT_NOTIFY' }],
    });
    const bundle = bundleOf(both(executing('sleep', '1000'), profile, gaining(gains)));
    const judge = (nr: number) => (nr === NR.getsid ? { errno: ENOMEDIUM } : 'continue');
    const first = new Agent(path);
    const firstServed = first.serve(judge);
    expect(await beside(engine, 'run', '--detach', '--bundle', bundle, id)).toMatchObject({
      status: 0,
      stderr: '',
    });
    rmSync(path);
    const second = new Agent(path);
    const secondServed = second.serve(judge);
    expect(await beside(engine, 'exec', id, ...CALLS)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^-123\n\d+\n$/),
      stderr: '',
    });
    first.close();
    second.close();
    await Promise.all([firstServed, secondServed]);
    const { pid } = first.state as { pid: number };
    const state = { id, pid, bundle };
    expect(first.state).toMatchObject({ pid, state: { ...state, status: 'creating' } });
    expect(second.state).toMatchObject({ state: { ...state, status: 'running' } });
    expect((second.state as { pid: number }).pid).not.toBe(pid);
  });
});
