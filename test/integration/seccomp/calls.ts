import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Seccomp } from '../../../schemas/runtime-config.ts';
import { type Edit, linuxOf, portable, processOf } from '../../helpers/container.ts';

/**
 * Makes the system calls that its arguments name, without a C library in between, and prints a
 * line for each: the kernel's result; what killed the child that made the call (`kill:`); the
 * number that a SIGSYS handler was told (`trap:`). `i386:` makes it by the 32-bit entry.
 */
const SOURCE = `
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int trapped;

static void handle(int signal, siginfo_t *info, void *context)
{
  trapped = info->si_syscall;
}

static long call(long *v)
{
  long result;
  register long d asm("r10") = v[4], e asm("r8") = v[5], f asm("r9") = v[6];
  asm volatile("syscall" : "=a"(result) : "a"(v[0]), "D"(v[1]), "S"(v[2]), "d"(v[3]), "r"(d), "r"(e), "r"(f) : "rcx", "r11", "memory");
  return result;
}

static long call32(long *v)
{
  int result;
  asm volatile("int $0x80" : "=a"(result) : "a"((int)v[0]), "b"(v[1]), "c"(v[2]), "d"(v[3]) : "memory", "r8", "r9", "r10", "r11");
  return result;
}

int main(int argc, char **argv)
{
  struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO };
  setvbuf(stdout, 0, _IONBF, 0);
  for (int i = 1; i < argc; i++) {
    long v[7] = { 0 };
    long (*make)(long *) = call;
    char *text = argv[i];
    int kill = !strncmp(text, "kill:", 5), trap = !strncmp(text, "trap:", 5);
    if (kill || trap) text += 5;
    if (!strncmp(text, "i386:", 5)) { make = call32; text += 5; }
    for (int j = 0; j < 7 && text; j++) {
      v[j] = strtoull(text, &text, 0);
      text = *text == ',' ? text + 1 : 0;
    }
    if (kill) {
      int status;
      pid_t child = fork();
      if (child == 0) { make(v); _exit(0); }
      waitpid(child, &status, 0);
      printf(WIFSIGNALED(status) ? "killed by %d\\n" : "ended with %d\\n", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    } else if (trap) {
      sigaction(SIGSYS, &action, 0);
      make(v);
      printf("trapped at %d\\n", trapped);
    } else {
      printf("%ld\\n", make(v));
    }
  }
  return 0;
}
`;

/** As little as a program can be: it writes a line and ends. */
const SMALL = `
static long call(long nr, long a, long b, long c)
{
  long result;
  asm volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}
void _start(void)
{
  call(1, 1, (long)"small\\n", 6);
  call(231, 0, 0, 0);
}
`;

let folder: string | undefined;

/** Compiles both programs into a directory that is to be mounted on /tmp. For `beforeAll`. */
export function compileCalls(): void {
  folder = mkdtempSync(join(tmpdir(), 'scow-calls-'));
  chmodSync(folder, 0o755);
  const compile = (name: string, input: string, ...flags: string[]) =>
    execFileSync(
      'cc',
      ['-static', '-O1', ...flags, '-o', join(folder as string, name), '-x', 'c', '-'],
      {
        input,
      },
    );
  compile('calls', SOURCE);
  compile('small', SMALL, '-nostdlib', '-fno-stack-protector');
}

export function removeCalls(): void {
  if (folder !== undefined) rmSync(folder, { recursive: true });
}

/** Numbers of system calls of x86-64 that no program here makes by itself. */
export const NR = {
  alarm: 37,
  getpgid: 121,
  getppid: 110,
  getsid: 124,
  nanosleep: 35,
  sched_get_priority_max: 146,
  sched_get_priority_min: 147,
  setfsuid: 122,
  sync: 162,
  sysinfo: 99,
  times: 100,
  mkdir: 83,
  fsopen: 430,
  process_madvise: 440,
  beyond: 1000,
} as const;

/** The container's program makes these calls. */
export function calling(...calls: readonly (string | number)[]): Edit {
  return executing('/tmp/calls', ...calls.map(String));
}

/** The container's program is one of the compiled ones, or busybox. */
export function executing(...args: readonly string[]): Edit {
  return (config) => {
    portable(config);
    processOf(config).args = [...args];
    config.mounts?.push({
      destination: '/tmp',
      type: 'bind',
      source: folder as string,
      options: ['bind', 'ro'],
    });
  };
}

/** Gives the container a profile. */
export function confined(profile: Seccomp): Edit {
  return (config) => {
    linuxOf(config).seccomp = structuredClone(profile) as NonNullable<
      ReturnType<typeof linuxOf>['seccomp']
    >;
  };
}

/** Sets whether the program can gain privileges; without that the filter is loaded otherwise. */
export function gaining(privileges: boolean): Edit {
  return (config) => {
    processOf(config).noNewPrivileges = !privileges;
  };
}

export function asUser(uid: number): Edit {
  return (config) => {
    processOf(config).user = { uid, gid: uid };
  };
}
