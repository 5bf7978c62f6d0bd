/**
 * The functions of node:path that the runtime uses, for paths as Linux has them: loading node:path
 * takes longer than all their calls (docs/decisions/start-cost.md).
 */

/** Joins parts by slashes, and takes out empty ones, `.` and `..`. */
export function join(...parts: readonly string[]): string {
  const [first, second] = parts;
  if (parts.length === 2 && first && second) return normalize(`${first}/${second}`);
  return normalize(parts.filter((part) => part !== '').join('/'));
}

/** The absolute path that a path means, from right to left, in the current folder. */
export function resolve(...parts: readonly string[]): string {
  let path = '';
  for (let i = parts.length - 1; i >= 0 && !path.startsWith('/'); i--)
    if (parts[i] !== '') path = path === '' ? (parts[i] as string) : `${parts[i]}/${path}`;
  const whole = normalize(path.startsWith('/') ? path : `${process.cwd()}/${path}`);
  return whole.length > 1 && whole.endsWith('/') ? whole.slice(0, -1) : whole;
}

/** The way from one path to another: without `..` where the second is below the first. */
export function relative(from: string, to: string): string {
  const [start, end] = [from, to].map((path) => resolve(path).split('/').filter(Boolean)) as [
    string[],
    string[],
  ];
  let same = 0;
  while (same < start.length && start[same] === end[same]) same++;
  return [...start.slice(same).fill('..'), ...end.slice(same)].join('/');
}

/** All but the last component: `/` and `.` have themselves above them. */
export function dirname(path: string): string {
  const end = trimmed(path);
  const slash = path.lastIndexOf('/', end - 1);
  if (slash < 0) return '.';
  const above = trimmed(path.slice(0, slash));
  return above === 0 ? '/' : path.slice(0, above);
}

/** The last component. */
export function basename(path: string): string {
  const end = trimmed(path);
  return path.slice(path.lastIndexOf('/', end - 1) + 1, end);
}

/** How much of a path there is before its last slashes. */
function trimmed(path: string): number {
  let end = path.length;
  while (end > 0 && path[end - 1] === '/') end--;
  return end;
}

/** Whether a path may have an empty component, or one that means a folder seen from another. */
function isSuspect(path: string): boolean {
  return path.startsWith('.') || path.endsWith('/') || path.includes('//') || path.includes('/.');
}

function normalize(path: string): string {
  if (path === '') return '.';
  if (!isSuspect(path)) return path;
  const absolute = path.startsWith('/');
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== '..') kept.pop();
    else if (!absolute) kept.push(part);
  }
  const slash = path.endsWith('/') ? '/' : '';
  if (kept.length === 0) return absolute ? '/' : `.${slash}`;
  return `${absolute ? '/' : ''}${kept.join('/')}${slash}`;
}
