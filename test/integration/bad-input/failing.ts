import { traces } from '../../helpers/left-behind.ts';
import {
  type EditableConfig,
  ENGINES,
  type Engine,
  newId,
  type Result,
  rootOf,
  scow,
} from '../../helpers/scow.ts';

export interface Attempt {
  /** `create` unless it is given; `start` is what follows a create that succeeds. */
  readonly command?: 'create' | 'run' | 'start';
  readonly flags?: readonly string[];
  readonly engine?: Engine;
  /** The directory of the containers' state. */
  readonly root?: string;
}

/**
 * Tries to make a container of a bundle, which must fail with one line and leave nothing.
 *
 * @returns the line, without the name of scow and the end
 */
export function failureOf(bundle: string, attempt: Attempt = {}): string {
  const { command = 'create', flags = [], engine = 'bun', root = rootOf('scow') } = attempt;
  const id = newId();
  const call = (...args: string[]) => scow(['--root', root, ...args], { engine });
  const before = traces(id, bundle, root);
  if (command === 'start') expect(call('create', '-b', bundle, id).status).toBe(0);
  const args = command === 'start' ? ['start', id] : [command, ...flags, '-b', bundle, id];
  const result = call(...args);
  if (command === 'start') call('delete', '--force', id);
  expect(traces(id, bundle, root)).toEqual(before);
  return lineOf(result);
}

/** The one line that a command failed with. */
export function lineOf({ status, stdout, stderr }: Result): string {
  expect({ status, stdout, stderr }).toEqual({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(/^scow: [^\n]+\n$/),
  });
  return stderr.slice('scow: '.length, -1);
}

export type Edit = (config: Whole) => void;

/** A configuration that has all its parts. */
export type Whole = EditableConfig & Required<Pick<EditableConfig, 'process' | 'linux' | 'mounts'>>;

/** An edit for `bundleOf`, whose program just ends. */
export function whole(edit: Edit): (config: EditableConfig) => void {
  return (config) => {
    if (config.process) config.process.args = ['true'];
    edit(config as Whole);
  };
}

export { ENGINES };
