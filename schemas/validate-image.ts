/** Validation of the JSON documents of an OCI image (image specification 1.1). */

import { isObject } from './is-object.ts';
import { check } from './report.ts';
import { descriptor, imageConfig, index, layout, manifest } from './validators/image.ts';
import type { Violation } from './violation.ts';

export { parseJson } from './parse-json.ts';
export { formatViolations, type Violation } from './violation.ts';

/** Every violation of descriptor.md; if there is none, the value is a `Descriptor`. */
export function validateDescriptor(value: unknown): Violation[] {
  return check(descriptor, value);
}

/**
 * Every violation of manifest.md; if there is none, the value is a `Manifest`. A document that
 * could be read as an index too is refused (CVE-2021-41190).
 */
export function validateManifest(value: unknown): Violation[] {
  return check(manifest, value);
}

/**
 * Every violation of image-index.md; if there is none, the value is an `Index`. A document that
 * could be read as a manifest too is refused (CVE-2021-41190).
 */
export function validateIndex(value: unknown): Violation[] {
  return check(index, value);
}

/** Every violation of config.md; if there is none, the value is an `ImageConfig`. */
export function validateImageConfig(value: unknown): Violation[] {
  return check(imageConfig, value);
}

/**
 * An image's configuration without the optional fields that are null, which «is equivalent to being
 * absent» (config.md). What is wrong stays.
 */
export function withoutNulls(config: unknown): unknown {
  if (!isObject(config)) return config;
  const { config: execution, history, ...others } = present(config);
  return {
    ...others,
    ...(execution === undefined ? {} : { config: present(execution) }),
    ...(history === undefined
      ? {}
      : { history: Array.isArray(history) ? history.map(present) : history }),
  };
}

function present<T>(value: T): T {
  if (!isObject(value)) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(fields) as T;
}

/** Every violation of the `oci-layout` file (image-spec, image-layout.md: oci-layout file). */
export function validateLayout(value: unknown): Violation[] {
  return check(layout, value);
}
