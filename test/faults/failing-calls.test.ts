/**
 * Every system call that scow itself makes fails in turn: the command tells which error it was,
 * and leaves nothing, or a container whose state is true and which a deletion by force removes.
 */
import { cleanUp, ENGINES, type Engine } from '../helpers/scow.ts';
import { type Subcommand, sampleFor, subcommandsFor, workplacesFor } from './commands.ts';
import { atEach, buildFaulty } from './faulty.ts';

beforeAll(buildFaulty);
afterEach(cleanUp);

/** A hierarchy, or a file of users, that can't be read counts as missing. */
const CLEAR =
  /^scow: ([^\n]+input\/output error \(EIO\)|no cgroup v2 hierarchy|--user root: )[^\n]*\n$/;

/** A poststop hook that could not be run is no error. */
const WARNED = /^(scow: warning: [^\n]+\n)?$/;

async function failAll(engine: Engine, command: Subcommand, sample: number): Promise<void> {
  const workplaces = workplacesFor(engine, command);
  const [first] = workplaces;
  await command.prepare(first);
  const points = (await first.pointsOf(command.args(first))).filter(
    ({ place }) => place !== 'init',
  );
  await first.delete();
  expect(points.length).toBeGreaterThan(3);
  const chosen = points
    // Neither can tell an error.
    .filter(({ call }) => !/^(close|exists) /.test(call))
    .filter((_, i) => i % sample === 0);
  await atEach(workplaces, chosen, async (point, at) => {
    await command.prepare(at);
    const { status, signal, stderr } = await at.runWith(point, 'EIO', command.args(at));
    expect({ status, signal, stderr }).toEqual(
      status === 0
        ? { status: 0, signal: null, stderr: expect.stringMatching(command.hooks ? WARNED : /^$/) }
        : {
            status: command.name.startsWith('exec') ? 255 : 1,
            signal: null,
            stderr: expect.stringMatching(CLEAR),
          },
    );
    const found = await at.trueStatus();
    expect(command.after).toContain(found);
    if (command.processes !== undefined) await at.hasProcesses(command.processes);
    if (status === 1 && command.name === 'create') expect(found).toBe('none');
    await at.delete();
    at.expectNothing();
  });
}

describe.each(ENGINES)('each system call of scow (%s) fails:', (engine) => {
  test.each(subcommandsFor(engine))(
    '%s',
    (_, command) => failAll(engine, command, sampleFor(engine, command)),
    600_000,
  );
});
