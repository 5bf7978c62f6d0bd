import { print } from '../../../runtime/linux/output.ts';
import { checkStore, type StoreReport } from '../../store/check.ts';
import { openStore, type Store } from '../../store/store.ts';
import { bytes, counted } from '../columns.ts';
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
  const dryRun = input.switch('dry-run') ?? false;
  const repair = (input.switch('repair') ?? false) && !dryRun;
  const report = await reportOn(store, repair, input.switch('layers') ?? false);
  print(json ? jsonText(report) : text(report, dryRun));
  return report.problems.every(({ repaired }) => repaired !== undefined) ? 0 : 1;
}

/** Layers can be unpacked, and so compared, only of a store that is sound. */
async function reportOn(store: Store, repair: boolean, layers: boolean): Promise<StoreReport> {
  const report = await checkStore(store, repair);
  if (!layers || report.unused === undefined || !store.exists()) return report;
  const { checkLayers } = await import('../../store/check-layers.ts');
  return { ...report, problems: [...report.problems, ...(await checkLayers(store, repair))] };
}

/** @param dryRun whether to say what a repair would do */
function text(report: StoreReport, dryRun: boolean): string {
  const { path, images, blobs, layers, unused, problems } = report;
  const lines = [
    `${path}: ${counted(images, 'image')}, ${counted(blobs, 'blob')} of ${bytes(report.bytes, true)}, ${counted(layers, 'unpacked layer')}`,
    ...problems.map(
      ({ what, message, remedy, repaired }) =>
        `${what}: ${message}${done(repaired, dryRun ? remedy : undefined)}`,
    ),
    ...(unused !== undefined && unused.bytes > 0
      ? [`${bytes(unused.bytes, true)} are not used by any image: prune frees them`]
      : []),
    ...(problems.length === 0 ? ['nothing is damaged'] : []),
    ...(problems.some(({ remedy, repaired }) => remedy !== undefined && repaired === undefined)
      ? ['--repair removes what is damaged: pull it again then']
      : []),
  ];
  return lines.map((line) => `${plain(line)}\n`).join('');
}

function done(repaired: string | undefined, remedy: string | undefined): string {
  if (repaired !== undefined) return ` (${repaired})`;
  return remedy === undefined ? '' : ` (with --repair: ${remedy})`;
}
