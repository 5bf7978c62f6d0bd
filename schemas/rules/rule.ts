import type { NamespaceType, RuntimeConfig } from '../runtime-config.ts';
import type { Violation } from '../violation.ts';

/** Takes a violation. */
export type Report = (violation: Violation) => void;

/** A rule about how parts of a `config.json` fit together. */
export interface Rule {
  /** What it is about, key by key: nothing breaks it where that is not. None: all of the document. */
  readonly about?: readonly string[];
  /** JSON pointers of what else it reads: it's only checked where all is well formed. */
  readonly reads?: readonly string[];
  /** Reports what breaks the rule. */
  readonly check: (config: RuntimeConfig, report: Report) => void;
}

/** Whether the container has a namespace of this type that isn't the runtime's, new or joined. */
export function hasNamespace(config: RuntimeConfig, type: NamespaceType): boolean {
  return config.linux?.namespaces?.some((namespace) => namespace.type === type) ?? false;
}

/** Whether a namespace of this type is made for the container. */
export function hasNewNamespace(config: RuntimeConfig, type: NamespaceType): boolean {
  const found = config.linux?.namespaces?.find((namespace) => namespace.type === type);
  return found !== undefined && found.path === undefined;
}
