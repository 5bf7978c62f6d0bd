import { readFileSync } from './files.ts';

/**
 * Whether this is the machine's root, or that of a container; not an ordinary user, nor the root of
 * a user namespace that one made, who keeps things where that user does.
 */
export function isRealRoot(): boolean {
  if (process.geteuid?.() !== 0) return false;
  if (process.env.USER === 'root' || !process.env.XDG_RUNTIME_DIR) return true;
  return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
}
