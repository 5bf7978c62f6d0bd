import { readFileSync } from '../linux/files.ts';

const TYPES: readonly (string | undefined)[] = ['proc', 'sysfs'];

/** Where procfs and sysfs are mounted, the last mounted first (proc_pid_mountinfo(5)). */
export function kernelMounts(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => TYPES.includes(/ - (\S+) /.exec(line)?.[1]))
    .map((line) => unescapeOctal(line.split(' ')[4] ?? ''))
    .reverse();
}

/** A space, tab, newline or backslash is written as a backslash and three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
