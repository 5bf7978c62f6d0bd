import { NUMBERS as X86_64 } from './x86-64/numbers.ts';

/** The system call numbers of this machine's architecture. */
export const NUMBERS: { readonly [name in keyof typeof X86_64]: number } = X86_64;

export type SyscallName = keyof typeof NUMBERS;
