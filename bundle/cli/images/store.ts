import { print } from '../../../runtime/linux/output.ts';
import { checkStore, type StoreReport } from '../../store/check.ts';
import { openStore } from '../../store/store.ts';
import { bytes } from '../columns.ts';
import type { Input } from '../command.ts';
import { jsonText, wantsJson } from '../format.ts';
import { plain } from '../output.ts';

/** Works on the store as a whole. @returns the exit status: 1 where something is damaged */
export async function run(input: Input): Promise<number> {
  const action = input.text('action');
  if (action !== 'check')
    throw new Error(
      `store ${JSON.stringify(action)}: there is "check" (see scow-bundle store --help)`,
    );
  const json = wantsJson(input);
  const store = openStore(input.text('store'));
  const report = await checkStore(store, input.switch('repair') ?? false);
  print(json ? jsonText(report) : text(report));
  return report.problems.every(({ repaired }) => repaired !== undefined) ? 0 : 1;
}

function text(report: StoreReport): string {
  const { path, images, blobs, layers, unused, problems } = report;
  const lines = [
    `${path}: ${images} images, ${blobs} blobs of ${bytes(report.bytes, true)}, ${layers} unpacked layers`,
    ...problems.map(
      ({ what, message, repaired }) =>
        `${what}: ${message}${repaired === undefined ? '' : ` (${repaired})`}`,
    ),
    ...(unused !== undefined && unused.bytes > 0
      ? [`${bytes(unused.bytes, true)} are not used by any image: prune frees them`]
      : []),
    ...(problems.length === 0 ? ['nothing is damaged'] : []),
    ...(unused === undefined ? ['--repair removes what is damaged: pull it again then'] : []),
  ];
  return lines.map((line) => `${plain(line)}\n`).join('');
}
