import { withoutAbsent } from '../../schemas/absent.ts';
import { isValidRuntimeConfig } from '../../schemas/decide.ts';
import { parseJson } from '../../schemas/parse-json.ts';
import type { RuntimeConfig } from '../../schemas/runtime-config.ts';
import { O } from '../linux/constants.ts';
import { closeSync, openSync, readFileSync } from '../linux/files.ts';
import { reason } from '../linux/reason.ts';

/** A valid config.json. */
export interface BundleConfig {
  readonly config: RuntimeConfig;
  /** Its text, without fields that say nothing. */
  readonly text: string;
}

/**
 * Reads a bundle's configuration (bundle.md) and checks it against the runtime specification.
 *
 * @param file absolute path, in the bundle `config.json`
 * @throws Error when the file cannot be read, is not JSON, or breaks the specification: then with
 *   every violation
 */
export async function readConfig(file: string): Promise<BundleConfig> {
  const original = readText(file);
  const { config, text } = withoutAbsent(parseJson(original, file), original);
  if (isValidRuntimeConfig(config)) return { config, text };
  const { formatViolations, validateRuntimeConfig } = await import('../../schemas/validate.ts');
  throw new Error(formatViolations(file, validateRuntimeConfig(config)));
}

function readText(file: string): string {
  let fd: number | undefined;
  try {
    // Nobody may ever write into a FIFO of a stranger's bundle.
    fd = openSync(file, O.RDONLY | O.NONBLOCK | O.NOCTTY);
    return readFileSync(fd, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new Error(
        `${file} does not exist: name the bundle's directory with --bundle, or change to it`,
        { cause },
      );
    throw new Error(`cannot read ${file}: ${reason(cause)}`, { cause });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
