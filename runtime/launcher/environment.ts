/**
 * What the launcher changes in the environment, before the engine sees it.
 *
 * An engine reads its environment before the first line of scow runs, and takes orders from it:
 * BUN_OPTIONS=--preload runs a file of the caller's choice, BUN_BE_BUN turns the executable into
 * plain bun, BUN_JSC_… and JSC_… change how code is compiled and which signal the garbage
 * collector uses, MIMALLOC_… prints to stderr, NODE_CHANNEL_FD takes a descriptor for messages.
 * Whoever sets these means other programs than a container runtime, so they are dropped, by
 * prefix, since every release of an engine adds some.
 *
 * LD_PRELOAD and its kind stay: they are the dynamic loader's, whoever sets them means every
 * program (runc and crun follow them too), and libseccomp may have to be found through
 * LD_LIBRARY_PATH. None of this reaches a container, whose environment is config.json's alone.
 * Hooks that set no environment of their own inherit what is left.
 */

/** Variables whose names begin so are dropped. */
export const DROPPED_PREFIXES: readonly string[] = ['BUN_', 'JSC_', 'NODE_', 'MIMALLOC_'];

/** The variable that hands the engine the limit that scow was started with: `soft:hard`. */
export const NOFILE_VARIABLE = 'SCOW_NOFILE';

/**
 * What the engine is told: to leave out the last tier of its compiler. No command lasts long enough to
 * get back the time that it takes, which is up to a fifth of an unpack's.
 */
export const ENGINE_SETTING = 'BUN_JSC_useFTLJIT=0';

/** RLIMIT_NOFILE as getrlimit(2) has it; 2^64-1 is no limit. */
export interface Limit {
  readonly soft: bigint;
  readonly hard: bigint;
}

let taken: { readonly limit: Limit | undefined } | undefined;

/**
 * The limit on open files that scow was started with, before the engine raised it. The first
 * call, which comes before any child process, takes the launcher's variables out of the environment.
 *
 * @returns undefined when no launcher was there to save it (under Node.js)
 */
export function inheritedNofile(): Limit | undefined {
  taken ??= { limit: takeNofile(process.env) };
  return taken.limit;
}

/** Removes the launcher's variables from an environment and returns the value of the one. */
export function takeNofile(environment: Record<string, string | undefined>): Limit | undefined {
  const value = environment[NOFILE_VARIABLE];
  delete environment[NOFILE_VARIABLE];
  delete environment[ENGINE_SETTING.slice(0, ENGINE_SETTING.indexOf('='))];
  const parts = /^(\d+):(\d+)$/.exec(value ?? '');
  if (parts === null) return undefined;
  return { soft: BigInt(parts[1] as string), hard: BigInt(parts[2] as string) };
}
