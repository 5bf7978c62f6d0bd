import { print } from '../../../runtime/linux/output.ts';
import { printable } from '../../layers/names.ts';
import { type Blame, blame, type LayerBlame, type PathHistory } from '../../look/blame.ts';
import { bytes, columns, shortId } from '../columns.ts';
import type { Input } from '../command.ts';
import { jsonText, wantsJson } from '../format.ts';
import { withImage } from './with-image.ts';

/** Paths with the largest waste that are shown. */
const MOST = 10;

/** Characters of a command line that fit beside the other columns. */
const ROOM = 60;

/** Shows which layer did what. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const json = wantsJson(input);
  const found = await withImage(input, input.text('image') ?? '', blame);
  const path = input.text('path');
  const paths = path === undefined ? found.paths : below(path, found.paths);
  if (json) print(jsonText({ layers: found.layers.map(layerJson), paths: paths.map(pathJson) }));
  else if (path !== undefined || input.switch('all')) print(pathTable(paths, found.layers));
  else print(`${layerTable(found)}${wasteTable(found)}`);
  return 0;
}

/** @throws Error where there was never such a path */
function below(path: string, paths: readonly PathHistory[]): PathHistory[] {
  const parts = Buffer.from(path).toString('latin1').split('/');
  const wanted = `/${parts.filter((part) => part !== '' && part !== '.').join('/')}`;
  const start = wanted === '/' ? '/' : `${wanted}/`;
  const chosen = paths.filter((one) => one.path === wanted || one.path.startsWith(start));
  if (chosen.length > 0) return chosen;
  throw new Error(`${path} is in no layer of the image`);
}

const textOf = (path: string) => printable(Buffer.from(path, 'latin1'));

function createdBy({ history }: LayerBlame): string {
  const text = (history.createdBy ?? '').replace(/\s+/g, ' ').trim();
  return [...text].length > ROOM ? `${[...text].slice(0, ROOM - 1).join('')}…` : text;
}

function layerTable({ layers }: Blame): string {
  return columns([
    ['LAYER', 'DIGEST', 'FILES', 'WASTED', 'CREATED', 'CHANGED', 'DELETED', 'CREATED BY'],
    ...layers.map((layer) => [
      ...[String(layer.layer), shortId(layer.digest), bytes(layer.bytes, true)],
      ...[bytes(layer.wasted, true), String(layer.created), String(layer.changed)],
      ...[String(layer.deleted), createdBy(layer)],
    ]),
  ]);
}

function wasteTable({ paths }: Blame): string {
  const wasted = paths
    .flatMap(({ path, deeds }) =>
      deeds.flatMap(({ layer, size = 0 }, i) => {
        const next = deeds[i + 1];
        return next === undefined || size === 0 ? [] : [{ path, layer, size, next }];
      }),
    )
    .sort((one, other) => other.size - one.size)
    .slice(0, MOST);
  if (wasted.length === 0) return '';
  return `\n${columns([
    ['WASTED', 'LAYER', 'SINCE', 'PATH'],
    ...wasted.map(({ path, layer, size, next }) => [
      bytes(size, true),
      String(layer),
      `${next.what} by ${next.layer}`,
      textOf(path),
    ]),
  ])}`;
}

function pathTable(paths: readonly PathHistory[], layers: readonly LayerBlame[]): string {
  return columns([
    ['LAYER', 'WHAT', 'SIZE', 'PATH', 'CREATED BY'],
    ...paths.flatMap(({ path, deeds }) =>
      deeds.map(({ layer, what, size }) => [
        ...[String(layer), what, size === undefined ? '' : bytes(size, true), textOf(path)],
        createdBy(layers[layer - 1] as LayerBlame),
      ]),
    ),
  ]);
}

function layerJson({ history, ...rest }: LayerBlame): object {
  const { layer: _, ...step } = history;
  return { ...rest, ...step };
}

function pathJson({ path, deeds }: PathHistory): object {
  return { path: Buffer.from(path, 'latin1').toString(), deeds };
}
