import { print } from '../../../runtime/linux/output.ts';
import type { Removal } from '../../store/remove.ts';
import { bytes } from '../columns.ts';
import { jsonText } from '../format.ts';
import { plain } from '../output.ts';

/** Prints what a removal took away, or would take. */
export function printRemoval(removal: Removal, json: boolean, dryRun: boolean): void {
  const { untagged, deleted, waste } = removal;
  if (json) {
    print(jsonText({ untagged, deleted, ...waste, dryRun }));
    return;
  }
  const would = dryRun ? 'would be ' : '';
  const lines = [
    ...untagged.map((name) => `${would}untagged: ${name}`),
    ...deleted.map((digest) => `${would}deleted: ${digest}`),
    ...waste.blobs
      .filter((digest) => !deleted.includes(digest))
      .map((digest) => `${would}deleted: blob ${digest}`),
    ...waste.layers.map((chainId) => `${would}deleted: unpacked layer ${chainId}`),
    `${bytes(waste.bytes, true)} ${would}freed`,
  ];
  print(lines.map((line) => `${plain(line)}\n`).join(''));
}
