/** Filters of containers that an ordinary user makes. */
import { chownSync } from 'node:fs';
import { join } from 'node:path';
import { processOf } from '../../helpers/container.ts';
import { MappedUser } from '../../helpers/mapped-user.ts';
import { cleanUp, ENGINES, newId, rootOf } from '../../helpers/scow.ts';
import { Agent } from './agent.ts';
import { confined, gaining } from './calls.ts';
import { ORDINARY } from './profile.ts';

const user = new MappedUser();

beforeAll(() => user.add());
afterAll(() => user.remove());
afterEach(cleanUp);

describe.each(ENGINES)('a container of an ordinary user (%s)', (engine) => {
  test.each([true, false])('has its profile; privileges can be gained: %s', (gains) => {
    const bundle = user.bundle(engine, (config) => {
      processOf(config).args = [
        'sh',
        '-c',
        'grep Seccomp: /proc/self/status; exec 2>&1; unshare -n true',
      ];
      confined(ORDINARY)(config);
      gaining(gains)(config);
    });
    for (let i = 0; i < 2; i++) {
      const { stdout, stderr } = user.scow(engine, ['run', newId()], bundle);
      expect(stderr).toBe('');
      expect(stdout).toBe('Seccomp:\t2\nunshare: unshare(0x40000000): Operation not permitted\n');
    }
  });

  test('hands its listener to an agent', async () => {
    const path = join(rootOf('scow'), '..', 'agent');
    let agent: Agent | undefined;
    const bundle = user.bundle(engine, (config) => {
      agent = new Agent(path);
      chownSync(path, user.uid, user.gid);
      processOf(config).args = ['echo', 'done'];
      confined({
        defaultAction: 'SCMP_ACT_ALLOW',
        listenerPath: path,
        syscalls: [{ names: ['sysinfo'], action: 'SCMP_ACT_NOTIFY' }],
      })(config);
    });
    const id = newId();
    // What it sends waits in the socket until somebody takes it.
    expect(user.scow(engine, ['run', id], bundle)).toEqual({
      status: 0,
      stdout: 'done\n',
      stderr: '',
    });
    const served = agent?.serve(() => 'continue');
    while (agent?.state === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    agent.close();
    await served;
    expect(agent.state).toMatchObject({ fds: ['seccompFd'], state: { id, bundle } });
  });
});
