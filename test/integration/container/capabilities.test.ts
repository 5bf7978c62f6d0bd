import type { CapabilityName } from '../../../schemas/runtime-config.ts';
import {
  both,
  type Edit,
  lines,
  processOf,
  type Runtime,
  run,
  shell,
} from '../../helpers/container.ts';
import { cleanUp, ENGINES } from '../../helpers/scow.ts';

afterEach(cleanUp);

type Sets = Partial<
  Record<'bounding' | 'effective' | 'permitted' | 'inheritable' | 'ambient', CapabilityName[]>
>;

const NET: CapabilityName[] = ['CAP_NET_BIND_SERVICE', 'CAP_NET_RAW'];
const MANY: CapabilityName[] = [...NET, 'CAP_CHOWN', 'CAP_SYS_ADMIN', 'CAP_BPF'];

/** Sets of config.json, the user, and what a program then has: inh, prm, eff, bnd, amb. */
const TABLE: readonly (readonly [name: string, sets: Sets | undefined, uid: number])[] = [
  ['no sets at all', undefined, 0],
  ['no sets at all, for a user', undefined, 1000],
  ['empty sets', { bounding: [], effective: [], permitted: [] }, 0],
  ['only a bounding set', { bounding: MANY }, 0],
  ['only a bounding set, for a user', { bounding: MANY }, 1000],
  ['fewer effective than permitted', { bounding: MANY, permitted: MANY, effective: NET }, 0],
  ['permitted beyond the bounding set', { bounding: NET, permitted: MANY, effective: MANY }, 0],
  ['inheritable ones', { bounding: MANY, permitted: MANY, effective: MANY, inheritable: NET }, 0],
  [
    'all sets, for root',
    { bounding: MANY, permitted: MANY, effective: MANY, inheritable: MANY, ambient: MANY },
    0,
  ],
  [
    'ambient ones, for a user',
    { bounding: MANY, permitted: MANY, effective: MANY, inheritable: NET, ambient: NET },
    1000,
  ],
  [
    'all but ambient ones, for a user',
    { bounding: MANY, permitted: MANY, effective: MANY, inheritable: MANY },
    1000,
  ],
];

function having(sets: Sets | undefined, uid: number): Edit {
  return (config) => {
    const { capabilities: _, ...process } = processOf(config);
    config.process = { ...process, ...(sets && { capabilities: sets }), user: { uid, gid: uid } };
  };
}

const peers = new Map<string, string[]>();

/** What `grep` finds itself to have: the program's sets as an exec leaves them. */
function capabilities(runtime: Runtime, name: string, edit: Edit): string[] {
  const key = `${runtime} ${name}`;
  const found = peers.get(key) ?? lines(runtime, 'grep ^Cap /proc/self/status', edit);
  peers.set(key, found);
  return found;
}

describe.each(ENGINES)('capabilities under %s', (engine) => {
  it.each(TABLE)('%s: as under crun and runc', (name, sets, uid) => {
    const own = capabilities(engine, name, having(sets, uid));
    expect(own).toEqual(capabilities('crun', name, having(sets, uid)));
    expect(own).toEqual(capabilities('runc', name, having(sets, uid)));
  });

  it('can be used by a user when they are ambient', () => {
    const sets = { bounding: NET, permitted: NET, effective: NET, inheritable: NET, ambient: NET };
    const edit = both(having(sets, 1000));
    const [inheritable, permitted, effective, bounding, ambient] = capabilities(
      engine,
      'ambient',
      edit,
    ).map((line) => line.split('\t')[1]);
    const net = '0000000000002400';
    expect([inheritable, permitted, effective, bounding, ambient]).toEqual(Array(5).fill(net));
  });

  it('leave out ambient ones that are not inheritable, as runc spec wrote them, with one warning', () => {
    const sets = { bounding: MANY, permitted: MANY, effective: MANY, ambient: NET };
    const edit = both(having(sets, 1000), shell('grep ^CapAmb /proc/self/status'));
    const { status, stdout, stderr } = run(engine, edit);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'CapAmb:\t0000000000000000\n' });
    expect(stderr).toBe(
      `scow: warning: can't raise the ambient capabilities ${NET.join(', ')}: they are not permitted and inheritable too  [/process/capabilities/ambient]\n`,
    );
    expect(run('runc', edit)).toMatchObject({ status: 0, stdout });
  });

  it('are left out with a warning where scow itself lacks them', () => {
    const sets = { bounding: MANY, permitted: MANY, effective: MANY, inheritable: MANY };
    const edit = both(having(sets, 0), shell('grep -E "^Cap(Prm|Bnd)" /proc/self/status'));
    const without = 'cap_net_raw,cap_bpf';
    // The exec of scow gives root what is in the bounding set, and no more.
    const through = ['capsh', `--drop=${without}`, '--', '-c', 'exec "$@"', 'sh'];
    const { status, stdout, stderr } = run(engine, edit, { through });
    expect(stderr).toMatch(
      /^scow: warning: the process goes without CAP_NET_RAW, CAP_BPF, which .* {2}\[\/process\/capabilities\]\n$/,
    );
    expect(status).toBe(0);
    const set = '0000000000200401';
    expect(stdout).toBe(`CapPrm:\t${set}\nCapBnd:\t${set}\n`);
  });

  it('are not gained by setuid programs with noNewPrivileges', () => {
    const script = 'grep -E "^(NoNewPrivs|Uid)" /proc/self/status';
    const edit =
      (noNewPrivileges: boolean): Edit =>
      (config) => {
        processOf(config).noNewPrivileges = noNewPrivileges;
      };
    expect(lines(engine, script, edit(true))).toContain('NoNewPrivs:\t1');
    expect(lines(engine, script, edit(false))).toContain('NoNewPrivs:\t0');
  });
});
