import { print } from '../../../runtime/linux/output.ts';
import { findImage } from '../../image/resolve.ts';
import type { ImageSource } from '../../image/source.ts';
import type { JsonDifference } from '../../look/json-difference.ts';
import { type Differences, differences, type LayerDifference } from '../../look/why.ts';
import { openSource } from '../../transfer/locations.ts';
import { shortId } from '../columns.ts';
import type { Input } from '../command.ts';
import { jsonText, wantsJson } from '../format.ts';
import { plain } from '../output.ts';
import { locationOptions, platformOf } from '../transfer/options.ts';

/** Shows why two images are not the same. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const json = wantsJson(input);
  const most = mostOf(input);
  const platform = platformOf(input);
  const options = locationOptions(input);
  const sources: ImageSource[] = [];
  const open = async (name: string) => {
    const source = await openSource(input.text(name) ?? '', options);
    sources.push(source);
    return { source, image: await findImage(source, platform) };
  };
  try {
    const found = await differences(await open('first'), await open('second'), most);
    print(json ? jsonText(found) : textOf(found));
    return 0;
  } finally {
    for (const source of sources) source.close();
  }
}

function mostOf(input: Input): number {
  const text = input.text('most') ?? '10';
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new Error(`--most ${JSON.stringify(text)}: want a number`);
}

function textOf({ same, manifest, config, layers, notes }: Differences): string {
  const lines = [
    ...(same ? ['they are the same'] : []),
    ...manifest.map((one) => `manifest: ${valueLine(one)}`),
    ...config.map((one) => `configuration: ${valueLine(one)}`),
    ...layers.flatMap(layerLines),
    ...notes,
  ];
  return lines.map((line) => `${plain(line).replaceAll('\n', ' ')}\n`).join('');
}

function valueLine({ pointer, first, second }: JsonDifference): string {
  const text = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(value));
  return `${pointer}: ${text(first)} and ${text(second)}`;
}

function layerLines({ layer, first, second, message, causes }: LayerDifference): string[] {
  const digests = [first, second].map((digest) => (digest === undefined ? '-' : shortId(digest)));
  return [
    `layer ${layer} (${digests.join(', ')}): ${message}`,
    ...causes.flatMap(({ cause, count, examples }) => [
      `  ${cause}: ${count} ${count === 1 ? 'entry' : 'entries'}`,
      ...examples.map(({ path, first: one, second: other }) => `    ${path}: ${one} and ${other}`),
      ...(count > examples.length ? [`    and ${count - examples.length} more`] : []),
    ]),
  ];
}
