import { print } from '../../../runtime/linux/output.ts';
import { formatName, nameOf, parseName } from '../../image/name.ts';
import { openStore } from '../../store/store.ts';
import { type Summary, summarise } from '../../store/summary.ts';
import { age, bytes, columns, shortId } from '../columns.ts';
import type { Input } from '../command.ts';
import { jsonText, wantsJson } from '../format.ts';
import { writeMessage } from '../output.ts';

/** What stands for what an image does not have. */
const NONE = '<none>';

/** Lists the images of the store. @returns the exit status */
export async function run(input: Input): Promise<number> {
  const json = wantsJson(input);
  const all = await summarise(openStore(input.text('store')));
  const chosen = all.filter(matches(input.text('name'))).reverse();
  for (const { name, digest, damage } of chosen)
    if (damage !== undefined) writeMessage(`warning: ${name ?? digest} is damaged: ${damage}`);
  if (json) print(jsonText(chosen));
  else if (input.switch('quiet')) print(ids(chosen, input));
  else print(table(chosen, input));
  return 0;
}

/** Whether an image has the name that was asked for: a repository, or a repository and tag. */
function matches(wanted: string | undefined): (summary: Summary) => boolean {
  if (wanted === undefined) return () => true;
  const names = [parseName(wanted)];
  if (!wanted.includes('/') || names[0]?.registry === 'docker.io')
    names.push(parseName(`localhost/${wanted.replace(/^docker\.io\//, '')}`));
  const anyTag = !/:[^/]*$/.test(wanted);
  return ({ name }) => {
    const own = nameOf(name);
    return names.some(
      ({ registry, repository, tag }) =>
        own?.registry === registry && own.repository === repository && (anyTag || own.tag === tag),
    );
  };
}

function ids(summaries: readonly Summary[], input: Input): string {
  const short = input.switch('trunc') ?? true;
  const found = summaries.flatMap(({ id }) => id ?? []);
  return [...new Set(found)].map((id) => `${short ? shortId(id) : id}\n`).join('');
}

function table(summaries: readonly Summary[], input: Input): string {
  const short = input.switch('trunc') ?? true;
  const digests = input.switch('digests') ?? false;
  const platforms = input.switch('all') ?? false;
  const row = (
    { name }: Summary,
    { digest, id, created, size }: Pick<Summary, 'digest' | 'id' | 'created' | 'size'>,
    platform: string,
  ) => {
    const { repository, tag } = partsOf(name);
    const shown = id === undefined ? NONE : short ? shortId(id) : id;
    return [
      ...[repository, tag, ...(digests ? [digest] : []), shown],
      ...(platforms ? [platform] : []),
      ...[age(created), bytes(size, true)],
    ];
  };
  return columns([
    [
      ...['REPOSITORY', 'TAG', ...(digests ? ['DIGEST'] : []), 'IMAGE ID'],
      ...(platforms ? ['PLATFORM'] : []),
      ...['CREATED', 'SIZE'],
    ],
    ...summaries.flatMap((summary) =>
      platforms && summary.variants.length > 0
        ? summary.variants.map((variant) => row(summary, variant, variant.platform))
        : [row(summary, summary, NONE)],
    ),
  ]);
}

function partsOf(name: string | undefined): { repository: string; tag: string } {
  const parts = nameOf(name);
  if (parts === undefined) return { repository: name ?? NONE, tag: NONE };
  const { tag, digest: _, ...path } = parts;
  return { repository: formatName(path), tag: tag ?? NONE };
}
