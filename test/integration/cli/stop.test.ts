/** `stop`, and `kill` and `delete` of many containers. */

import { readFileSync } from 'node:fs';
import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { startTimeOf } from '../../../runtime/container/process.ts';
import type { Edit } from '../../helpers/container.ts';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  type Engine,
  eventually,
  newId,
  running,
  scow,
  stateOf,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

const STOP_SIGNAL = 'org.opencontainers.image.stopSignal';
/** It says by which signal it was asked to end. */
const OBEDIENT = running(
  'sh',
  '-c',
  'trap "echo TERM; exit" TERM; trap "echo USR1; exit" USR1; echo ready; while :; do sleep 0.01; done',
);
const STUBBORN = running(
  'sh',
  '-c',
  'trap "echo ignored" TERM; echo ready; while :; do sleep 0.01; done',
);

/** Commands of scow under one engine. */
function under(engine: Engine) {
  const done = (...args: string[]) => {
    const result = scow(args, { engine });
    expect({ args, ...result }).toMatchObject({ args, status: 0, stdout: '', stderr: '' });
    return result;
  };
  const status = (id: string) => JSON.parse(scow(['state', id], { engine }).stdout).status;
  /** @returns a container that runs, and what it has printed */
  const runs = async (edit: Edit, id = newId()) => {
    const { stdoutFile } = scow(['run', '-d', '--bundle', bundleOf(edit), id], { engine });
    const printed = () => readFileSync(stdoutFile, 'utf8');
    await eventually(() => printed() === 'ready\n');
    return { id, printed };
  };
  return { done, status, runs };
}

describe.each(ENGINES)('under %s', (engine) => {
  const { done, status, runs } = under(engine);

  it('asks by TERM, and waits for the end', async () => {
    const { id, printed } = await runs(OBEDIENT);
    done('stop', id);
    expect(status(id)).toBe('stopped');
    expect(printed()).toBe('ready\nTERM\n');
    done('stop', id);
    done('delete', id);
    expect(scow(['stop', id], { engine })).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^scow: container does not exist/),
    });
  });
  it('has a paused container go on, to see the signal', async () => {
    const { id, printed } = await runs(OBEDIENT);
    done('pause', id);
    done('stop', '--time', '-1', id);
    expect(status(id)).toBe('stopped');
    expect(printed()).toBe('ready\nTERM\n');
  });
  it('kill and delete reach every container that matches, and no other', async () => {
    const prefix = newId();
    const [a, b, other] = ['web-1', 'web-2', 'db-1'].map((name) => `${prefix}-${name}`);
    const bundle = bundleOf(running('sleep', '1000'));
    for (const id of [a, b, other]) done('run', '-d', '--bundle', bundle, id as string);
    done('kill', '--regex', 'nothing-of-this', 'KILL');
    done('kill', '--regex', 'web-[0-9]+$', 'KILL');
    for (const id of [a, b]) {
      const { pid } = stateOf(id as string);
      await eventually(() => startTimeOf(pid) === undefined);
    }
    expect(status(other as string)).toBe('running');
    const { status: exit, stderr } = scow(['delete', '-r', `^${prefix}`], { engine });
    expect(stderr).toBe(
      `scow: cannot delete container ${other} that is not stopped: running (delete --force kills it first)\n`,
    );
    expect(exit).toBe(1);
    expect(scow(['list', '-q'], { engine }).stdout).toBe(`${other}\n`);
    done('delete', '--force', '--regex', `^${prefix}`);
    expect(scow(['list', '-q'], { engine }).stdout).toBe('');
  });
});

describe('in particular', () => {
  const engine = 'bun';
  const { done, status, runs } = under(engine);

  describe('stop', () => {
    it("asks by the image's stop signal, or the one that is given", async () => {
      const edit: Edit = (config) => {
        OBEDIENT(config);
        config.annotations = { [STOP_SIGNAL]: 'SIGUSR1' };
      };
      const [one, two] = [await runs(edit), await runs(edit)];
      done('stop', one.id);
      expect(one.printed()).toBe('ready\nUSR1\n');
      done('stop', '--signal', 'term', two.id);
      expect(two.printed()).toBe('ready\nTERM\n');
    });

    it('takes TERM when the annotation names no signal, and says so', async () => {
      const { id, printed } = await runs((config) => {
        OBEDIENT(config);
        config.annotations = { [STOP_SIGNAL]: 'SIGNOTHING' };
      });
      const { status: exit, stderr } = scow(['stop', id], { engine });
      expect(stderr).toMatch(
        /^scow: warning: container \S+: unknown signal "SIGNOTHING": [^\n]+ \[\/annotations\/org\.opencontainers\.image\.stopSignal\]\n$/,
      );
      expect(exit).toBe(0);
      expect(printed()).toBe('ready\nTERM\n');
    });

    it('kills what does not end in time', async () => {
      const { id, printed } = await runs(STUBBORN);
      const start = performance.now();
      done('stop', '--time', '1', id);
      expect(performance.now() - start).toBeGreaterThan(1000);
      expect(status(id)).toBe('stopped');
      expect(printed()).toBe('ready\nignored\n');
    });

    it('with --time 0 does not ask', async () => {
      const { id, printed } = await runs(OBEDIENT);
      done('stop', '-t', '0', id);
      expect(status(id)).toBe('stopped');
      expect(printed()).toBe('ready\n');
    });

    it('kills one that was never started, paused or not', () => {
      const ids = [newId(), newId()];
      for (const [i, id] of ids.entries()) {
        done('create', '--bundle', bundleOf(STUBBORN), id);
        if (i === 1) done('pause', id);
        done('stop', '--time', '-1', id);
        expect(status(id)).toBe('stopped');
      }
    });

    it("leaves no process of one in the host's PID namespace", async () => {
      const { id } = await runs((config) => {
        running('sh', '-c', 'trap exit TERM; sleep 1000 & echo ready; wait')(config);
        const linux = config.linux ?? {};
        linux.namespaces = linux.namespaces?.filter(({ type }) => type !== 'pid') ?? [];
      });
      const cgroup = Cgroup.at(stateOf(id).cgroup ?? '');
      await eventually(() => cgroup.processes({ recursive: true }).length === 2);
      done('stop', id);
      await eventually(() => !cgroup.populated());
    });

    it.each(['x', '1.5', '-2', ''])('refuses the time %j', (time) => {
      const { status: exit, stderr } = scow(['stop', '--time', time, 'nobody'], { engine });
      expect(exit).toBe(1);
      expect(stderr).toMatch(
        time === '' ? /does not exist/ : /^scow: --time [^\n]*: give a number/,
      );
    });
  });

  describe('by regular expression', () => {
    it.each([
      ['(', /^scow: --regex "\(" is no regular expression\n$/],
      ['[[:digit:]]', /^scow: --regex "\[\[:digit:\]\]": classes [^\n]*: write \[0-9\]\n$/],
    ])('%s is refused', (pattern, message) => {
      const { status: exit, stderr } = scow(['delete', '--regex', pattern], { engine });
      expect(exit).toBe(1);
      expect(stderr).toMatch(message);
    });
  });

  it('kill --all ends a container that was never started', async () => {
    const id = newId();
    done('create', '--bundle', bundleOf(STUBBORN), id);
    done('kill', '--all', id, 'TERM');
    const { pid } = stateOf(id);
    await eventually(() => startTimeOf(pid) === undefined);
  });
});
