import { print } from '../../../runtime/linux/output.ts';
import { type HistoryLine, historyOf } from '../../image/history.ts';
import { age, bytes, columns, shortId } from '../columns.ts';
import type { Input } from '../command.ts';
import { jsonText, wantsJson } from '../format.ts';
import { withImage } from '../look/with-image.ts';

/** Characters of a command line that fit beside the other columns. */
const ROOM = 45;

/** Shows how an image was made. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const json = wantsJson(input);
  const history = await withImage(input, input.text('image') ?? '', (_, image) => historyOf(image));
  const lines = history.reverse();
  if (json) print(jsonText(lines));
  else if (input.switch('quiet')) print(layersOf(lines, input));
  else print(table(lines, input));
  return 0;
}

function layersOf(lines: readonly HistoryLine[], input: Input): string {
  const short = input.switch('trunc') ?? true;
  return lines
    .flatMap(({ layer }) =>
      layer === undefined ? [] : `${short ? shortId(layer.digest) : layer.digest}\n`,
    )
    .join('');
}

function table(lines: readonly HistoryLine[], input: Input): string {
  const short = input.switch('trunc') ?? true;
  const human = input.switch('human') ?? true;
  const cut = (text: string) =>
    short && [...text].length > ROOM ? `${[...text].slice(0, ROOM - 1).join('')}…` : text;
  return columns([
    ['LAYER', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT'],
    ...lines.map(({ layer, created, createdBy, comment }) => [
      layer === undefined ? '<none>' : short ? shortId(layer.digest) : layer.digest,
      human ? age(created) : (created ?? ''),
      cut((createdBy ?? '').replace(/\s+/g, ' ')),
      bytes(layer?.size ?? 0, human),
      cut(comment ?? ''),
    ]),
  ]);
}
