/**
 * The commands of an ordinary user without newuidmap, without cgroups, and with the state where
 * their session keeps such things.
 */
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { findHierarchy, ownCgroup } from '../../../runtime/cgroups/hierarchy.ts';
import { startTimeOf } from '../../../runtime/container/process.ts';
import { commandAs, directoryOf, type OrdinaryUser, scowAs } from '../../helpers/ordinary-user.ts';
import { Terminal } from '../../helpers/pty.ts';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  eventually,
  newId,
  testDirectory,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

/** In no database: newuidmap(1) knows nothing of them. */
const USER: OrdinaryUser = { uid: 61234, gid: 61235 };

describe.each(ENGINES)('an ordinary user, under %s,', (engine) => {
  let bundle: string;
  let runtime: string;
  const options = (cgroup?: string) => {
    const env = { PATH: '/usr/bin:/bin', XDG_RUNTIME_DIR: runtime, TERM: 'dumb' };
    return {
      engine,
      cwd: bundle,
      env,
      ...(cgroup === undefined ? {} : { before: `echo $$ > '${cgroup}/cgroup.procs'` }),
    };
  };
  const call = (...args: string[]) => scowAs(USER, args, options());
  const done = (...args: string[]) => {
    const { status, stdout, stderr } = call(...args);
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
    return stdout;
  };

  beforeEach(() => {
    bundle = bundleOf();
    rmSync(join(bundle, 'config.json'));
    directoryOf(USER, bundle.slice(testDirectory().length + 1));
    runtime = directoryOf(USER, 'runtime');
    done('spec', '--rootless');
  });

  const program = (...args: string[]) => {
    const file = join(bundle, 'config.json');
    const config = JSON.parse(readFileSync(file, 'utf8'));
    config.process.terminal = false;
    config.process.args = args;
    writeFileSync(file, JSON.stringify(config));
  };

  it('runs what spec --rootless writes as it is', async () => {
    const terminal = new Terminal();
    const command = [...commandAs(USER, options()), 'run', newId()];
    const { ended } = terminal.run(command, { cwd: bundle });
    await terminal.sees(/[$#] /);
    terminal.type('echo "I am $(id -u), $(cat /proc/self/uid_map)"; exit 7\r');
    await terminal.sees(new RegExp(`I am 0, +0 +${USER.uid} +1\r`));
    expect(await ended).toEqual({ code: 7, signal: null });
    terminal.close();
  });

  it('goes through all commands', async () => {
    program('sh', '-c', 'trap "exit 3" TERM; sleep 1000 & while :; do sleep 0.01; done');
    const id = newId();
    done('create', id);
    const home = join(runtime, 'scow', id);
    const { pid, cgroup } = JSON.parse(readFileSync(join(home, 'state.json'), 'utf8'));
    expect(cgroup).toBeNull();
    expect(statSync(join(runtime, 'scow')).mode & 0o7777).toBe(0o1700);
    expect(JSON.parse(done('ps', '--format', 'json', id))).toEqual([pid]);
    const why = `it has no cgroup of its own (an ordinary user has none without delegation, systemd: Delegate=yes)\n`;
    expect(call('pause', id)).toEqual({
      status: 1,
      stdout: '',
      stderr: `scow: cannot pause container "${id}": ${why}`,
    });
    done('start', id);
    expect(JSON.parse(done('state', id))).toMatchObject({ status: 'running', pid });
    expect(done('list')).toMatch(
      new RegExp(`\n${id} +${pid} +running +${bundle} +\\S+ +#${USER.uid}\n`),
    );
    expect(JSON.parse(done('list', '--format', 'json'))).toHaveLength(1);
    await eventually(() => done('ps', id).includes('sleep 1000'));
    expect(done('ps', id, '-o', 'pid,user')).toMatch(new RegExp(`\\n *${pid} ${USER.uid}\\n`));
    expect(call('resume', id).stderr).toBe(`scow: container not paused: "${id}" is running\n`);
    done('kill', '--all', id, 'WINCH');
    done('stop', id);
    expect(JSON.parse(done('state', id)).status).toBe('stopped');
    expect(call('kill', id)).toMatchObject({ status: 1 });
    done('delete', id);
    expect(existsSync(home)).toBe(false);
    done('run', '--detach', id);
    done('kill', '--all', id, 'KILL');
    const running = JSON.parse(readFileSync(join(home, 'state.json'), 'utf8')).pid;
    await eventually(() => startTimeOf(running) === undefined);
    done('delete', '--regex', `^${id}$`);
    done('create', id);
    done('delete', '--force', id);
    expect(done('list', '-q')).toBe('');
  });

  it('can pause a container in a cgroup that was delegated to them', () => {
    program('sleep', '1000');
    const hierarchy = findHierarchy();
    const delegated = join(hierarchy.mountPoint, ownCgroup(hierarchy), newId());
    for (const path of [delegated, join(delegated, 'own')]) {
      mkdirSync(path);
      for (const file of ['', 'cgroup.procs', 'cgroup.subtree_control'])
        chownSync(join(path, file), USER.uid, USER.gid);
    }
    const inside = (...args: string[]) => {
      const result = scowAs(USER, args, options(join(delegated, 'own')));
      expect({ args, ...result }).toMatchObject({ args, status: 0, stderr: '' });
      return result.stdout;
    };
    const id = newId();
    inside('run', '--detach', id);
    inside('pause', id);
    const events = readFileSync(join(delegated, id, 'cgroup.events'), 'latin1');
    expect(events).toContain('frozen 1');
    expect(JSON.parse(inside('state', id)).status).toBe('paused');
    inside('resume', id);
    expect(JSON.parse(inside('ps', '--format', 'json', id))).toEqual(
      Cgroup.at(join(delegated, id)).processes({ recursive: true }),
    );
    inside('stop', '--time', '0', id);
    inside('delete', id);
    expect(existsSync(join(delegated, id))).toBe(false);
    Cgroup.at(delegated).remove();
  });
});
