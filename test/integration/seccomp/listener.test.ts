import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Seccomp } from '../../../schemas/runtime-config.ts';
import { both, commandLine, type Edit, type Runtime, run } from '../../helpers/container.ts';
import { bundleOf, cleanUp, ENGINES, newId, rootOf, testDirectory } from '../../helpers/scow.ts';
import { Agent } from './agent.ts';
import { calling, compileCalls, confined, executing, gaining, NR, removeCalls } from './calls.ts';

beforeAll(compileCalls);
afterAll(removeCalls);

let agent: Agent;
let path: string;
beforeEach(() => {
  path = join(testDirectory(), 'agent');
  agent = new Agent(path);
});
afterEach(() => {
  agent.close();
  cleanUp();
});

const ENOMEDIUM = 123;

function notifying(...names: string[]): Seccomp {
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    listenerPath: path,
    listenerMetadata: 'a word for the agent',
    syscalls: [{ names, action: 'SCMP_ACT_NOTIFY' }],
  };
}

/** Runs a container while the agent works. */
function runBeside(runtime: Runtime, edit: Edit, ...flags: string[]) {
  const [command = '', ...first] = commandLine(runtime);
  const id = newId();
  const bundle = bundleOf(edit);
  const child = spawn(command, [...first, ...flags, 'run', '--bundle', bundle, id], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  return new Promise<{
    id: string;
    bundle: string;
    status: number | null;
    stdout: string;
    stderr: string;
  }>((resolve) => child.on('close', (status) => resolve({ id, bundle, status, stdout, stderr })));
}

describe.each([...ENGINES, 'runc'] as const)('an agent (%s)', (runtime) => {
  test.each([true, false])(
    'answers for the kernel; privileges can be gained: %s',
    async (gains) => {
      const running = runBeside(
        runtime,
        both(
          calling(NR.getsid, NR.getpgid),
          confined(notifying('getsid', 'no_such_call')),
          gaining(gains),
          (config) => {
            config.annotations = { color: 'blue' };
          },
        ),
      );
      const served = agent.serve(() => ({ errno: ENOMEDIUM }));
      const { id, bundle, status, stdout, stderr } = await running;
      agent.close();
      await served;
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(/^-123\n\d+\n$/);
      expect(agent.calls).toEqual([NR.getsid]);
      const { pid } = agent.state as { pid: number };
      const ociVersion = expect.stringMatching(/^1\.\d/);
      expect(agent.state).toMatchObject({
        ociVersion,
        fds: ['seccompFd'],
        pid: expect.any(Number),
        metadata: 'a word for the agent',
        state: {
          ociVersion,
          id,
          status: 'creating',
          pid,
          bundle,
          annotations: { color: 'blue' },
        },
      });
    },
  );
});

describe.each(ENGINES)('an agent (%s)', (engine) => {
  test.each([true, false])(
    'is asked for all that init does after loading; privileges can be gained: %s',
    async (gains) => {
      const names = ['read', 'execve', 'capset', 'sendmsg', 'recvfrom', 'exit_group', 'openat'];
      const running = runBeside(
        engine,
        both(executing('/tmp/small'), confined(notifying(...names)), gaining(gains)),
      );
      const served = agent.serve(() => 'continue');
      const { status, stdout, stderr } = await running;
      agent.close();
      await served;
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'small\n', stderr: '' });
      // capset, read of the FIFO, execve; exit_group of the program
      expect(agent.calls).toEqual([...(gains ? [126] : []), 0, 59, 231]);
    },
  );

  test('is found by its annotation, and told of calls that only death interrupts', async () => {
    const { listenerPath: _, listenerMetadata: __, ...profile } = notifying('getsid');
    const running = runBeside(
      engine,
      both(
        calling(NR.getsid),
        confined({ ...profile, flags: ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'] }),
        (config) => {
          config.annotations = { 'run.oci.seccomp.receiver': path };
        },
      ),
      '--debug',
    );
    const served = agent.serve(() => ({ errno: ENOMEDIUM }));
    const { status, stdout, stderr } = await running;
    agent.close();
    await served;
    expect({ status, stdout }).toEqual({ status: 0, stdout: '-123\n' });
    expect(stderr).toContain('seccomp filter flags: 40\n');
    expect(agent.state).not.toHaveProperty('metadata');
  });

  test('that is gone leaves calls that are not implemented', async () => {
    const running = runBeside(
      engine,
      both(calling(NR.getsid, NR.getsid), confined(notifying('getsid'))),
    );
    const served = agent.serve(() => {
      agent.close();
      return 'continue';
    });
    const { status, stdout } = await running;
    await served;
    expect({ status, stdout }).toEqual({ status: 0, stdout: '-38\n-38\n' });
  });

  test('that nobody is, or that is no socket, is an error, and nothing is left behind', () => {
    const failing = (listenerPath: string) => {
      const edit = both(
        executing('/tmp/small'),
        confined({ ...notifying('getsid'), listenerPath }),
      );
      const { status, stderr } = run(engine, edit);
      const left = existsSync(rootOf('scow')) ? readdirSync(rootOf('scow')) : [];
      return { status, stderr, left: left.filter((name) => name !== '@seccomp') };
    };
    expect(failing('/no/agent.sock')).toEqual({
      status: 1,
      stderr:
        'scow: failed to connect with seccomp agent at /no/agent.sock: no such file: its owner must make it and listen before the container is created  [/linux/seccomp/listenerPath]\n',
      left: [],
    });
    expect(failing('/etc/passwd')).toEqual({
      status: 1,
      stderr:
        'scow: failed to connect with seccomp agent at /etc/passwd: it is not a socket  [/linux/seccomp/listenerPath]\n',
      left: [],
    });
  });
});
