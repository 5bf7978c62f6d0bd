/**
 * scow is killed before each of its system calls: init does not outlive it unless the container
 * was created, what `state` says is true, and a deletion by force removes the rest.
 */
import { cleanUp, ENGINES, type Engine } from '../helpers/scow.ts';
import { type Subcommand, sampleFor, subcommandsFor, workplacesFor } from './commands.ts';
import { afterChanges, atEach, buildFaulty, KILL } from './faulty.ts';

beforeAll(buildFaulty);
afterEach(cleanUp);

async function killAll(engine: Engine, command: Subcommand, sample: number): Promise<void> {
  const workplaces = workplacesFor(engine, command);
  const [first] = workplaces;
  await command.prepare(first);
  const points = (await first.pointsOf(command.args(first))).filter(
    ({ place }) => place !== 'init',
  );
  await first.delete();
  const chosen = afterChanges(points).filter((_, i) => i % sample === 0);
  await atEach(workplaces, chosen, async (point, at) => {
    await command.prepare(at);
    const ended = await at.runWith(point, KILL, command.args(at));
    // What it waits for may need fewer calls than the first time: then there is none to be killed at.
    const [status, signal] = ended.status === 0 ? [0, null] : [null, 'SIGKILL'];
    expect(ended).toEqual({ status, signal, stderr: '' });
    const found = await at.trueStatus();
    expect(command.after).toContain(found);
    if (command.processes !== undefined) await at.hasProcesses(command.processes);
    if (found === 'created') await at.must('start', at.id);
    await at.delete();
    at.expectNothing();
  });
}

describe.each(ENGINES)('scow (%s) is killed before each system call of', (engine) => {
  test.each(subcommandsFor(engine))(
    '%s',
    (_, command) => killAll(engine, command, sampleFor(engine, command)),
    600_000,
  );
});
