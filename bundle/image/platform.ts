import { arch } from 'node:os';
import type { Platform } from '../../schemas/image.ts';

/** Node's names of processors, where Go's (GOARCH) are others. */
const GO_NAMES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  mipsel: 'mipsle',
};

/** Names that uname(1), Debian and users have for architectures of Go. */
const ALIASES: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  i386: ['386'],
  i686: ['386'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
};

/** What an image without a variant runs on: the least of its architecture. */
const BASELINE: Readonly<Record<string, string>> = { amd64: 'v1', arm64: 'v8', arm: 'v7' };

/**
 * Reads `OS/ARCH[/VARIANT]`, as `--platform` takes it.
 *
 * @throws Error for any other form
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  const [os, name, variant] = parts;
  if (!os || !name || parts.length > 3 || parts.includes(''))
    throw new Error(
      `platform ${JSON.stringify(text)}: want OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64`,
    );
  const [architecture, implied] = ALIASES[name.toLowerCase()] ?? [name.toLowerCase()];
  const chosen = variant?.toLowerCase() ?? implied;
  return {
    os: os.toLowerCase(),
    architecture,
    ...(chosen === undefined ? {} : { variant: chosen }),
  };
}

/** The platform of this machine, without a variant: any machine runs the least of its kind. */
export function hostPlatform(): Platform {
  return { os: 'linux', architecture: GO_NAMES[arch()] ?? arch() };
}

/** `os/architecture[/variant]`. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant ? [variant] : [])].join('/');
}

/**
 * How well an image suits a wanted platform (image-spec, image-index.md: Platform Variants).
 *
 * @returns undefined when it does not run there, and else how many steps its variant lies below
 *   the wanted one: 0 is the best
 */
export function platformDistance(wanted: Platform, offered: Platform): number | undefined {
  if (wanted.os !== offered.os || wanted.architecture !== offered.architecture) return undefined;
  const baseline = BASELINE[wanted.architecture];
  // No order is known among the variants: an unnamed one is any.
  if (baseline === undefined)
    return !wanted.variant || wanted.variant === offered.variant ? 0 : undefined;
  const most = level(wanted.variant || baseline);
  const needs = level(offered.variant || baseline);
  if (most === undefined || needs === undefined)
    return (wanted.variant || baseline) === (offered.variant || baseline) ? 0 : undefined;
  return needs <= most ? most - needs : undefined;
}

/** `v8` → 8, `v8.1` → 8.1: a machine of one level runs what is built for a lower one. */
function level(variant: string): number | undefined {
  const match = /^v(\d+(?:\.\d+)?)$/.exec(variant);
  return match === null ? undefined : Number(match[1]);
}
