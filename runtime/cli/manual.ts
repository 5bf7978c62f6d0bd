/** What the manual pages say beyond the table of commands: made by scripts/man.mjs, never loaded by scow. */
export interface Manual {
  /** Paragraphs; words between asterisks are set in bold. */
  readonly description: readonly string[];
  readonly examples?: readonly string[];
}

/** The page about scow itself. */
export const OVERVIEW = {
  description: [
    'scow runs containers as the Open Container Initiative describes them: it is called by engines (podman, containerd, CRI-O, Docker) as runc is, or by hand.',
    'A container is made from a *bundle*: a directory with a root filesystem and its configuration, *config.json*. *scow-bundle*(1) makes one of an image.',
    'Flags may be written with one dash or two, and take their values behind a space or an equals sign. Global flags come before the command.',
  ],
  statuses: [
    ['0', 'The command did what it is for.'],
    ['1', 'It failed. One line on standard error says why.'],
    ['3', 'There is no such command.'],
    [
      'other',
      '*run* in the foreground ends with the status of the container’s program, or with 128 plus the number of the signal that killed it.',
    ],
  ],
  environment: [
    [
      'XDG_RUNTIME_DIR',
      'Of an ordinary user: the state of containers is kept in *scow* below it, unless *--root* is given.',
    ],
    ['LISTEN_FDS', 'Sockets that a container’s program is handed: see *sd_listen_fds*(3).'],
  ],
  files: [['/run/scow', 'The state of root’s containers, a directory for each.']],
} as const;

const STATE_MACHINE =
  'A container is *creating*, *created*, *running*, *paused* or *stopped*: what the kernel says of its first process, at the moment of the question.';

/** By the name of a command, what its page says beside its flags. */
export const MANUAL: Readonly<Record<string, Manual>> = {
  completion: {
    description: [
      'The script asks *scow* itself what may come next: commands, flags and their values, the IDs of containers below *--root*.',
    ],
    examples: ['scow completion bash > ~/.local/share/bash-completion/completions/scow'],
  },
  create: {
    description: [
      'Sets up everything that the configuration asks for, up to the program itself: namespaces, mounts, devices, users, the cgroup. The program then waits for *start*. When something fails nothing is left behind, and the message names the field of *config.json* that it came from.',
      'Paths of flags count from the current directory, those of *config.json* from the bundle.',
    ],
    examples: ['scow create --bundle /var/lib/bundle web'],
  },
  delete: {
    description: [
      'A container that runs or is paused is deleted with *--force* only. What was created and never started is ended first.',
      'With *--regex* it goes on after a container that cannot be deleted, and ends with status 1.',
    ],
    examples: ['scow delete web', "scow delete --force --regex '^test-'"],
  },
  events: {
    description: [
      'Each line is an object with the members *type*, *id* and *data*. The type is *stats*, every *--interval*, or *oom*, when a process was killed for want of memory. The command ends with the container.',
    ],
    examples: ['scow events --stats web'],
  },
  exec: {
    description: [
      'The program runs beside the container’s own: in the same namespaces and cgroup, with the same environment, user, capabilities, limits and seccomp filter, as far as no flag says otherwise. The configuration is that which the container was created with. Everything behind the container’s ID is the program’s.',
      '*--process* names a file that describes the whole process, in the form of *process* in *config.json*. What confines the container’s own process (capabilities, limits, labels, scheduling) stays as it is where the file is silent. Other flags are added to what the file says.',
      '*--user* takes a number, or a name of the container’s own user database; a name brings its groups. Nothing but digits is a number.',
      'A capability that *--cap* gives is not inheritable: a program of another user than root has it in its bounding set only, unless the container’s configuration makes it inheritable.',
      'In a paused container *--ignore-paused* starts a program that begins when the container is resumed.',
      'In the foreground scow stands in for the program, as *run* does, and ends with its status; with 255 when no program was executed.',
    ],
    examples: [
      'scow exec -t web sh',
      'scow exec --user www-data --env DEBUG=1 web /usr/sbin/check',
      'scow exec --detach --pid-file pid --process process.json web',
    ],
  },
  features: {
    description: [
      'What is listed does not depend on this machine, but for the flags of seccomp that its kernel knows. The form is that of the runtime specification (features.md).',
    ],
  },
  kill: {
    description: [
      'A program that is the first process of a PID namespace gets only the signals that it has a handler for, KILL and STOP. One that waits for *start* is ended by any signal that would end it.',
      'KILL reaches all processes of a container. Other signals do so with *--all*: the processes stand still meanwhile, so that none can escape by a fork.',
    ],
    examples: ['scow kill web', 'scow kill web HUP', "scow kill --regex '^test-' KILL"],
  },
  list: {
    description: [
      'A container whose state cannot be read is left out, with a warning.',
      STATE_MACHINE,
    ],
  },
  pause: {
    description: [
      'All processes of the container’s cgroup are frozen. The command ends when they stand still; when one does not within ten seconds, they all go on and the command fails.',
      'A paused container can be killed, resumed, and deleted by force.',
    ],
  },
  ps: {
    description: [
      'Runs *ps*(1) with the options behind the container’s ID, and shows the lines of its processes: those that *exec* brought in and those in cgroups below its own included. The table must have a column PID.',
    ],
    examples: ['scow ps web', 'scow ps web -o pid,rss,args', 'scow ps --format json web'],
  },
  resume: { description: ['The counterpart of *pause*.'] },
  run: {
    description: [
      '*create* and *start* in one. In the foreground scow stands in for the program: it passes signals on, lends its terminal, ends with the program’s status and deletes the container.',
    ],
    examples: ['scow run --bundle bundle web', 'scow run --detach --bundle bundle web'],
  },
  spec: {
    description: [
      'Writes *config.json* for a shell in a terminal, with the namespaces, mounts and capabilities that are usual. A file that is there already stays.',
    ],
    examples: ['scow spec --rootless && scow run test'],
  },
  start: {
    description: [
      'The command ends when the program has been executed; where it could not be, with the reason.',
    ],
  },
  state: { description: [STATE_MACHINE] },
  stop: {
    description: [
      'The signal is the one in the annotation *org.opencontainers.image.stopSignal*, which comes from the image, or TERM. A paused container goes on, to see it. When the container has not ended after the time that *--time* gives, all its processes are killed. One that was never started is killed at once.',
      'Status 0 says that the container has stopped, also when it had before. It is not deleted.',
    ],
    examples: ['scow stop web', 'scow stop --time 60 web && scow delete web'],
  },
  update: {
    description: [
      'Limits that are not named stay as they are. Sizes are bytes, or have one of the letters b, k, m, g and t behind them. What *--resources* names is *linux.resources* as *config.json* has it, and then no other flag counts.',
    ],
    examples: ['scow update --memory 512m --pids-limit 100 web'],
  },
};
