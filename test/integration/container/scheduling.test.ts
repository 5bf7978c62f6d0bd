import type { Process } from '../../../schemas/runtime-config.ts';
import { both, type Edit, lines, linuxOf, processOf, run, shell } from '../../helpers/container.ts';
import { cleanUp, ENGINES } from '../../helpers/scow.ts';

afterEach(cleanUp);

const process_ =
  (change: Partial<Process>): Edit =>
  (config) => {
    Object.assign(processOf(config), change);
  };

/** nice, real-time priority and policy, of proc_pid_stat(5). */
const STAT = "cut -d' ' -f19,40,41 /proc/1/stat";

describe.each(ENGINES)('scheduling under %s', (engine) => {
  it('is as configured: policy, nice value, I/O priority, memory policy, execution domain', () => {
    const edit = both(
      process_({
        scheduler: { policy: 'SCHED_BATCH', nice: 7 },
        ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 6 },
      }),
      (config) => {
        linuxOf(config).memoryPolicy = {
          mode: 'MPOL_BIND',
          nodes: '0',
          flags: ['MPOL_F_STATIC_NODES'],
        };
        linuxOf(config).personality = { domain: 'LINUX32' };
      },
    );
    const script = `${STAT}; ionice -p 1; cat /proc/self/personality; uname -m
      head -n1 /proc/self/numa_maps | cut -d' ' -f2`;
    expect(lines(engine, script, edit)).toEqual([
      '7 0 3',
      'best-effort: prio 6',
      '00000008',
      'i686',
      'bind=static:0',
    ]);
  });

  it.each<[Process['scheduler'], string, string]>([
    [{ policy: 'SCHED_OTHER', nice: -5 }, '-5 0 0', '-5 0 0'],
    [{ policy: 'SCHED_IDLE' }, '0 0 5', '0 0 5'],
    [{ policy: 'SCHED_FIFO', priority: 3 }, '0 3 1', '0 3 1'],
    [{ policy: 'SCHED_RR', priority: 4, flags: ['SCHED_FLAG_RESET_ON_FORK'] }, '0 4 2', '0 0 0'],
    [
      {
        policy: 'SCHED_DEADLINE',
        runtime: 1_000_000,
        deadline: 50_000_000,
        period: 100_000_000,
        flags: ['SCHED_FLAG_RESET_ON_FORK'],
      },
      '0 0 6',
      '0 0 0',
    ],
  ])('%j: of the program, and of what it forks', (scheduler, own, forked) => {
    const script = `${STAT}; cut -d' ' -f19,40,41 /proc/self/stat; true`;
    expect(lines(engine, script, process_({ scheduler } as Partial<Process>))).toEqual([
      own,
      forked,
    ]);
  });

  it('needs no privilege in the user namespace of the container', () => {
    const edit: Edit = (config) => {
      const linux = linuxOf(config);
      linux.namespaces = [...(linux.namespaces ?? []), { type: 'user' }];
      linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
      linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
      // After the fork that this takes, the flag would have no effect.
      processOf(config).scheduler = {
        policy: 'SCHED_FIFO',
        priority: 9,
        flags: ['SCHED_FLAG_RESET_ON_FORK'],
      };
      processOf(config).ioPriority = { class: 'IOPRIO_CLASS_RT', priority: 2 };
    };
    expect(lines(engine, `${STAT}; ionice -p 1`, edit)).toEqual(['0 9 1', 'realtime: prio 2']);
  });

  it('is on all CPUs, whatever the caller is bound to', () => {
    const edit = both(shell('grep Cpus_allowed_list /proc/self/status'));
    const { stdout } = run(engine, edit, { through: ['taskset', '-c', '0'] });
    const own = run(engine, edit).stdout;
    expect(stdout).toBe(own);
  });

  it.each<[Partial<Process>, RegExp]>([
    [
      { scheduler: { policy: 'SCHED_ISO' } },
      /^scow: cannot set the scheduling policy SCHED_ISO \(sched_setattr\): invalid argument \(EINVAL\): the kernel does not have .* {2}\[\/process\/scheduler\]\n$/,
    ],
    [
      { apparmorProfile: 'none-such' },
      /^scow: cannot confine the process by the AppArmor profile none-such.* {2}\[\/process\/apparmorProfile\]\n$/,
    ],
    [
      { selinuxLabel: 'none:such' },
      /^scow: cannot give the (process|session keyring) the SELinux label none:such.* {2}\[\/process\/selinuxLabel\]\n$/,
    ],
  ])('%j is refused', (change, line) => {
    const { status, stderr } = run(engine, both(process_(change), shell('true')));
    expect(stderr).toMatch(line);
    expect(status).toBe(1);
  });
});
