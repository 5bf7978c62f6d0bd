import { print } from '../../../runtime/linux/output.ts';
import type { Platform } from '../../../schemas/image.ts';
import { parsePlatform } from '../../image/platform.ts';
import { type EditOptions, editImage } from '../../new-image/edit.ts';
import { openStore, type Store } from '../../store/store.ts';
import { columns } from '../columns.ts';
import type { Input } from '../command.ts';
import { jsonText, wantsJson } from '../format.ts';
import { writeMessage } from '../output.ts';
import { stoppable } from '../stop.ts';

/** Edits an image's configuration, or tells where that of a bundle comes from. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const name = input.text('image') ?? '';
  if (input.switch('origin')) return tellOrigins(name, wantsJson(input));
  return stoppable(async (signal) => {
    const options = optionsOf(input, signal);
    const store = openStore(input.text('store'));
    const target = input.text('tag') ?? (await ownName(store, name));
    const source = await store.source(name);
    try {
      const destination = await store.destination(target);
      try {
        const { config } = await editImage(source, destination, options);
        print(`${config}\n`);
      } finally {
        await destination.close();
      }
    } finally {
      source.close();
    }
  });
}

async function tellOrigins(bundle: string, json: boolean): Promise<number> {
  const { configOrigins } = await import('../../existing/config-origin.ts');
  const origins = await configOrigins(bundle);
  const rows = origins.map(({ pointer, value, source }) => [
    pointer,
    JSON.stringify(value),
    source,
  ]);
  print(json ? jsonText(origins) : columns([['POINTER', 'VALUE', 'SOURCE'], ...rows]));
  return 0;
}

/** The whole name of an image, which is given to the new one. */
async function ownName(store: Store, text: string): Promise<string> {
  const { entry, byName } = await store.find(text);
  if (!byName || entry.name === undefined)
    throw new Error(`${text} is no name, which the new image could be given: name it with --tag`);
  return entry.name;
}

function optionsOf(input: Input, signal: AbortSignal): EditOptions {
  const platform = input.text('platform');
  return {
    edits: {
      clear: input.list('clear'),
      user: input.text('user'),
      workdir: input.text('workdir'),
      stopSignal: input.text('stop-signal'),
      entrypoint: input.list('entrypoint'),
      cmd: input.list('cmd'),
      env: input.list('env'),
      labels: input.list('label'),
      annotations: input.list('annotation'),
      volumes: input.list('volume'),
      ports: input.list('expose'),
    },
    changes: input.list('change'),
    author: input.text('author'),
    message: input.text('message'),
    platform: platform === undefined ? undefined : parsePlatform(platform),
    becomes: becomes(input),
    created: created(input),
    history: input.switch('history') ?? true,
    signal,
    onWarning: (line) => writeMessage(`warning: ${line}`),
  };
}

function becomes(input: Input): Partial<Platform> {
  const fields = { os: input.text('os'), architecture: input.text('architecture') };
  const given = Object.entries({ ...fields, variant: input.text('variant') });
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function created(input: Input): string | undefined {
  const text = input.text('created');
  if (text !== undefined && (!RFC3339.test(text) || Number.isNaN(Date.parse(text))))
    throw new Error(
      `--created ${JSON.stringify(text)}: want a time such as 2024-05-01T12:00:00Z (RFC 3339)`,
    );
  return text;
}
