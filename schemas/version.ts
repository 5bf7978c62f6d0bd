/** The version of this package. */
export const VERSION = '0.1.0';

/** The version of the OCI image specification that scow-bundle implements. */
export const IMAGE_SPEC_VERSION = '1.1.1';
