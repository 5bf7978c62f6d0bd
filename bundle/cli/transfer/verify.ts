import { print } from '../../../runtime/linux/output.ts';
import { openSource, parseLocation } from '../../transfer/locations.ts';
import { type VerifyReport, verifyImage } from '../../transfer/verify.ts';
import { bytes, counted, shortId } from '../columns.ts';
import type { Input } from '../command.ts';
import { jsonText, wantsJson } from '../format.ts';
import { maxSize } from '../max-size.ts';
import { plain } from '../output.ts';
import { locationOptions, platformOf } from './options.ts';

/** Verifies an image. @returns the exit status: 1 where something is wrong */
export async function run(input: Input): Promise<number> {
  const json = wantsJson(input);
  const text = input.text('image') ?? '';
  const platform = platformOf(input);
  const source = await openSource(text, locationOptions(input));
  try {
    const report = await verifyImage(source, {
      ...(platform === undefined ? {} : { platform }),
      // What a pull left out, for it is for other machines, is not missed in the store.
      ...maxSize(input),
      sparse: parseLocation(text).kind === 'name',
    });
    print(json ? jsonText(report) : linesOf(report));
    return report.sound ? 0 : 1;
  } finally {
    source.close();
  }
}

function linesOf(report: VerifyReport): string {
  const lines = report.manifests.flatMap(({ digest, platform, layers, problems, warnings }) => {
    const size = layers.reduce((sum, layer) => sum + layer.size, 0);
    const what = `${shortId(digest)} ${platform ?? 'artifact'}: ${counted(layers.length, 'layer')}, ${bytes(size, true)}`;
    return [
      `${what}: ${problems.length === 0 ? 'sound' : 'NOT SOUND'}`,
      ...problems.map((line) => `  ${line}`),
      ...warnings.map((line) => `  warning: ${line}`),
    ];
  });
  const absent = report.absent.map((platform) => `not here: ${platform}`);
  return [...lines, ...absent, ...report.problems].map((line) => `${plain(line)}\n`).join('');
}
