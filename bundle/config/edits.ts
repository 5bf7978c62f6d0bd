import { posix } from 'node:path';
import type { Annotations, ImageExecution } from '../../schemas/image.ts';
import { type Execution, setVariables } from './instructions.ts';
import { parsePorts } from './ports.ts';

/** What is to be set in an image's configuration; what is absent stays as it is. */
export interface Edits {
  /** Names of fields, see `CLEARABLE`, that are emptied before anything is set. */
  readonly clear: readonly string[];
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
  readonly stopSignal?: string | undefined;
  /** Whole command lines; an empty list leaves them as they are. */
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** `NAME=VALUE` */
  readonly env: readonly string[];
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
  /** Absolute paths. */
  readonly volumes: readonly string[];
  /** See `parsePorts`. */
  readonly ports: readonly string[];
}

const FIELDS: Readonly<Record<string, keyof ImageExecution>> = {
  cmd: 'Cmd',
  entrypoint: 'Entrypoint',
  env: 'Env',
  expose: 'ExposedPorts',
  label: 'Labels',
  'stop-signal': 'StopSignal',
  user: 'User',
  volume: 'Volumes',
  workdir: 'WorkingDir',
};

/** What can be emptied. */
const CLEARABLE: readonly string[] = ['annotation', ...Object.keys(FIELDS)];

/**
 * Sets fields of what an image's containers run.
 *
 * @throws Error in one line that names the flag, for values that make no sense
 */
export function applyEdits(config: ImageExecution, edits: Edits): ImageExecution {
  checkClear(edits.clear);
  const edited: Execution = { ...config };
  for (const name of edits.clear) {
    const field = FIELDS[name];
    if (field !== undefined) delete edited[field];
  }
  if (edits.user !== undefined) edited.User = edits.user;
  if (edits.stopSignal !== undefined) edited.StopSignal = edits.stopSignal;
  if (edits.workdir !== undefined) edited.WorkingDir = absolute('--workdir', edits.workdir);
  if (edits.entrypoint.length > 0) edited.Entrypoint = edits.entrypoint;
  if (edits.cmd.length > 0) edited.Cmd = edits.cmd;
  if (edits.env.length > 0) edited.Env = setVariables(edited.Env ?? [], pairs('--env', edits.env));
  if (edits.labels.length > 0)
    edited.Labels = { ...edited.Labels, ...Object.fromEntries(pairs('--label', edits.labels)) };
  if (edits.volumes.length > 0) edited.Volumes = { ...edited.Volumes, ...volumeSet(edits.volumes) };
  if (edits.ports.length > 0)
    edited.ExposedPorts = { ...edited.ExposedPorts, ...portSet(edits.ports) };
  return edited;
}

/** Sets annotations of a manifest. @throws Error as `applyEdits` does */
export function editAnnotations(base: Annotations, { clear, annotations }: Edits): Annotations {
  const kept = clear.includes('annotation') ? {} : base;
  return { ...kept, ...Object.fromEntries(pairs('--annotation', annotations)) };
}

function checkClear(names: readonly string[]): void {
  const unknown = names.find((name) => !CLEARABLE.includes(name));
  if (unknown !== undefined)
    throw new Error(`--clear ${JSON.stringify(unknown)}: want one of ${CLEARABLE.join(', ')}`);
}

function pairs(flag: string, texts: readonly string[]): (readonly [string, string])[] {
  return texts.map((text) => {
    const at = text.indexOf('=');
    if (at <= 0) throw new Error(`${flag} ${JSON.stringify(text)}: want NAME=VALUE`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
}

function volumeSet(paths: readonly string[]): Record<string, object> {
  return Object.fromEntries(paths.map((path) => [absolute('--volume', path), {}]));
}

function portSet(texts: readonly string[]): Record<string, object> {
  const parse = (text: string) => {
    try {
      return parsePorts(text);
    } catch (cause) {
      throw new Error(`--expose ${(cause as Error).message}`, { cause });
    }
  };
  return Object.fromEntries(texts.flatMap(parse).map((port) => [port, {}]));
}

function absolute(flag: string, path: string): string {
  if (!path.startsWith('/'))
    throw new Error(`${flag} ${JSON.stringify(path)}: want an absolute path`);
  return posix.normalize(path);
}
