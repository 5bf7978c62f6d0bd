import type { IdMapping } from '../../schemas/linux-config.ts';
import type { Step } from './step.ts';

/** The mapping of an ID-mapped mount, user_namespaces(7): given, or that of a user namespace. */
export type IdMap = {
  /** For the mounts below it too. */
  readonly recursive: boolean;
  /** JSON pointer of what asked for it. */
  readonly pointer: string;
} & (
  | { readonly uidMappings: readonly IdMapping[]; readonly gidMappings: readonly IdMapping[] }
  | { readonly namespace: string }
);

/** How scow comes by a descriptor that init is born with. */
export type DescriptorSource =
  /** Made for every container: its end of the socket, the progress page, the exec FIFO. */
  | { readonly kind: 'control' }
  | { readonly kind: 'progress' }
  | { readonly kind: 'fifo' }
  /** One that scow has open already. */
  | { readonly kind: 'given' }
  /** `open(path, flags)`. */
  | { readonly kind: 'open'; readonly path: string; readonly flags: number }
  | TreeSource;

/** A detached copy of the mount at `path`, open_tree(2). */
export interface TreeSource {
  readonly kind: 'tree';
  readonly path: string;
  readonly recursive: boolean;
  /** A symlink at `path` is itself copied. */
  readonly nofollow?: boolean;
  readonly idMap?: IdMap;
}

/** A descriptor that init is born with. */
export interface DescriptorRequest {
  readonly name: string;
  readonly source: DescriptorSource;
  /** JSON pointer of what asked for it. */
  readonly pointer: string;
}

/** All that scow will do to make a container, in order. */
export interface Plan {
  /** Namespaces that init is born in, as clone3 flags. */
  readonly cloneFlags: number;
  /** Descriptors in the order of their numbers, beginning at `firstDescriptor`. */
  readonly descriptors: readonly DescriptorRequest[];
  readonly firstDescriptor: number;
  /** Descriptors below `firstDescriptor` that come from the caller, besides standard streams. */
  readonly preserved: readonly number[];
  readonly steps: readonly Step[];
}

/** The number that each descriptor of a plan has in init. */
export function descriptorNumbers(plan: Plan): Map<string, number> {
  return new Map(plan.descriptors.map(({ name }, i) => [name, plan.firstDescriptor + i]));
}
