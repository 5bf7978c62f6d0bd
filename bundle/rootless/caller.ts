/**
 * Set where scow-bundle has put itself into a user namespace: why only one user is mapped there, or
 * nothing.
 */
export const INSIDE = 'SCOW_BUNDLE_USER_NAMESPACE';

/**
 * Whether an ordinary user called: also where they are root of the user namespace that scow-bundle
 * has made for them.
 */
export function isOrdinaryUser(): boolean {
  return process.geteuid?.() !== 0 || isInside();
}

/** Whether scow-bundle is in the user namespace that it makes for an ordinary user. */
export function isInside(): boolean {
  return process.env[INSIDE] !== undefined;
}
