import type { Platform } from '../../../schemas/image.ts';
import { parsePlatform } from '../../image/platform.ts';
import type { CopyOptions } from '../../transfer/copy.ts';
import type { LocationOptions } from '../../transfer/locations.ts';
import type { Flag, Input } from '../command.ts';
import { writeMessage } from '../output.ts';

/** Flags of all commands that speak to registries. */
export const REGISTRY_FLAGS: readonly Flag[] = [
  {
    name: 'insecure',
    about: 'allow plain HTTP, and certificates of authorities that this machine does not know',
  },
  {
    name: 'timeout',
    value: 'SECONDS',
    about: 'give up on a registry that is silent for so long; 60 by default',
  },
  {
    name: 'retries',
    value: 'NUMBER',
    about:
      'how often to try again what failed for the moment: lost connections, 429, 5xx; 4 by default',
  },
];

/** Which image of an index is meant. */
export const PLATFORM: Flag = {
  name: 'platform',
  value: 'OS/ARCH[/VARIANT]',
  about: "which image to take where there are several; this machine's by default",
};

/** Which images of an index are meant. */
export const PLATFORM_FLAGS: readonly Flag[] = [
  PLATFORM,
  { name: 'all', short: 'a', about: 'take the images of all platforms, with their index' },
];

/** How a command tells what happens. */
export const PROGRESS_FLAGS: readonly Flag[] = [
  { name: 'json', about: 'print what happens as JSON, an object a line' },
  { name: 'quiet', short: 'q', about: 'show no progress, and print only the digest' },
];

/** @throws Error in one line for values that are none */
export function locationOptions(input: Input, signal?: AbortSignal): LocationOptions {
  const timeout = number(input, 'timeout', 1);
  const retries = number(input, 'retries', 0);
  return {
    store: input.text('store'),
    insecure: input.switch('insecure') ?? false,
    ...(timeout === undefined ? {} : { silence: timeout * 1000 }),
    ...(retries === undefined ? {} : { attempts: retries + 1 }),
    signal,
    warn: (message) => writeMessage(`warning: ${message}`),
  };
}

/** What --platform says. @throws Error in one line for what is none */
export function platformOf(input: Input): Platform | undefined {
  const platform = input.text('platform');
  return platform === undefined ? undefined : parsePlatform(platform);
}

/** @throws Error in one line for both of two that exclude each other */
export function platformsOf(input: Input): CopyOptions['platforms'] {
  const platform = platformOf(input);
  if (!input.switch('all')) return platform;
  if (platform === undefined) return 'all';
  throw new Error('--all and --platform: want one of them');
}

function number(input: Input, name: string, least: number): number | undefined {
  const text = input.text(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= 1_000_000) return value;
  throw new Error(`--${name} ${JSON.stringify(text)}: want a whole number from ${least}`);
}
