import { spawnSync } from 'node:child_process';
import { chmodSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  both,
  capable,
  type Edit,
  linuxOf,
  mounting,
  processOf,
  runBundle,
  shell,
  writable,
} from '../../helpers/container.ts';
import { bundleOf, cleanUp, ENGINES, testDirectory } from '../../helpers/scow.ts';

afterEach(cleanUp);

const FIRST = 100000;

/** 1000 users and groups that nobody on the host has; no host ID is in the container. */
const mapped: Edit = (config) => {
  const linux = linuxOf(config);
  linux.namespaces = [...(linux.namespaces ?? []), { type: 'user' }];
  linux.uidMappings = [{ containerID: 0, hostID: FIRST, size: 1000 }];
  linux.gidMappings = [
    { containerID: 0, hostID: FIRST + 1000, size: 500 },
    { containerID: 500, hostID: FIRST + 3000, size: 500 },
  ];
};

function chownTree(path: string, uid: number, gid: number): void {
  spawnSync('chown', ['-hR', `${uid}:${gid}`, path]);
}

/** A bundle whose root filesystem belongs to root of the container. */
function mappedBundle(...edits: readonly Edit[]): string {
  const bundle = bundleOf(both(mapped, ...edits));
  chownTree(join(bundle, 'rootfs'), FIRST, FIRST + 1000);
  // runc wants its users to be able to search the way to the root filesystem.
  chmodSync(testDirectory(), 0o711);
  return bundle;
}

const shownBy = (engine: Parameters<typeof runBundle>[0], bundle: string): string[] => {
  const { stdout, stderr } = runBundle(engine, bundle);
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
};

describe.each(ENGINES)('a container of root with a user namespace, under %s', (engine) => {
  it('has the IDs of the mappings', () => {
    const script = `
      cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
      id -u; id -g; stat -c '%u %g' / /dev/pts /dev/mqueue /dev/shm`;
    const bundle = mappedBundle(shell(script));
    const expected = [
      '0 100000 1000',
      '0 101000 500',
      '500 103000 500',
      'allow',
      ...['0', '0', '0 0', '0 0', '0 0', '0 0'],
    ];
    const words = (line: string) => line.trim().split(/\s+/).join(' ').replaceAll(/ +/g, ' ');
    expect(shownBy(engine, bundle).map(words)).toEqual(expected);
    // runc 1.1 leaves the group of /dev/mqueue to nobody.
    const peer = shownBy('runc', bundle).map(words);
    expect(peer.toSpliced(-2, 1)).toEqual(expected.toSpliced(-2, 1));
  });

  it('gives files that it makes to the mapped owner', () => {
    const bundle = mappedBundle(
      writable,
      capable('CAP_CHOWN'),
      shell('touch /made; chown 7:501 /made'),
    );
    runBundle(engine, bundle);
    const { uid, gid } = statSync(join(bundle, 'rootfs/made'));
    expect({ uid, gid }).toEqual({ uid: FIRST + 7, gid: FIRST + 3001 });
  });

  it('has another user and groups too', () => {
    const edit: Edit = (config) => {
      processOf(config).user = { uid: 999, gid: 498, additionalGids: [5, 600] };
    };
    const script = 'id -u; id -g; id -G; grep ^Cap /proc/self/status';
    const shown = shownBy(engine, mappedBundle(edit, shell(script)));
    expect(shown.slice(0, 3)).toEqual(['999', '498', '498 5 600']);
    expect(shown).toContain('CapEff:\t0000000000000000');
    expect(shown).toEqual(shownBy('runc', mappedBundle(edit, shell(script))));
  });

  it('has the capabilities of the configuration, and no more', () => {
    const script = 'grep ^Cap /proc/self/status';
    expect(shownBy(engine, mappedBundle(shell(script)))).toEqual(
      shownBy('runc', mappedBundle(shell(script))),
    );
  });

  it('has the devices of the host on its own files', () => {
    const script = `
      for d in null zero full random urandom tty; do stat -c '%n %F %t,%T %a' /dev/$d; done
      head -c3 /dev/zero | wc -c; echo lost > /dev/null && echo written`;
    const bundle = mappedBundle(shell(script));
    const shown = shownBy(engine, bundle);
    expect(shown).toContain('/dev/null character special file 1,3 666');
    expect(shown.slice(-2)).toEqual(['3', 'written']);
    expect(shown).toEqual(shownBy('runc', bundle));
  });

  it('has them without set-user-ID and execution', () => {
    const bundle = mappedBundle(
      shell(
        "awk '$5 ~ /^.dev.(null|zero|full|random|urandom|tty)$/ {print $5, $6}' /proc/self/mountinfo | sort",
      ),
    );
    expect(shownBy(engine, bundle)).toEqual(
      ['full', 'null', 'random', 'tty', 'urandom', 'zero'].map((name) =>
        expect.stringMatching(`^/dev/${name} rw,nosuid,noexec`),
      ),
    );
  });

  it('mounts what only root of the host may search', () => {
    const bundle = mappedBundle(
      mounting({ destination: '/tmp', type: 'bind', source: 'rootfs/etc', options: ['rbind'] }),
      shell('ls /tmp'),
    );
    chmodSync(bundle, 0o700);
    expect(shownBy(engine, bundle)).toEqual(['group', 'passwd']);
  });

  it('has bind mounts with their options', () => {
    const options = ['rbind', 'ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'rprivate'];
    const bundle = mappedBundle(
      mounting({ destination: '/tmp', type: 'bind', source: 'rootfs/etc', options }),
      shell("grep ' /tmp ' /proc/self/mountinfo | cut -d' ' -f6,7"),
    );
    expect(shownBy(engine, bundle)).toEqual(['ro,nosuid,nodev,noexec,noatime -']);
  });

  it('makes mount points as root of the container', () => {
    const bundle = mappedBundle(
      mounting({ destination: '/new/point', type: 'tmpfs', source: 'tmpfs' }),
      shell('stat -c "%u %g" /new /new/point'),
    );
    expect(shownBy(engine, bundle)).toEqual(['0 0', '0 0']);
    const { uid, gid } = statSync(join(bundle, 'rootfs/new'));
    expect({ uid, gid }).toEqual({ uid: FIRST, gid: FIRST + 1000 });
  });

  it('leaves nothing that belongs to the host to its users', () => {
    const bundle = mappedBundle(shell('find / -xdev -user 65534; :'));
    expect(shownBy(engine, bundle)).toEqual(['/proc', '/sys']);
    expect(shownBy('runc', bundle)).toEqual(['/proc', '/sys']);
  });

  it('is refused in one line when it runs as a user without a mapping', () => {
    const bundle = mappedBundle((config) => {
      processOf(config).user = { uid: 5000, gid: 0 };
    });
    const { status, stderr } = runBundle(engine, bundle);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^scow: .*\/process\/user\/uid: 5000.*\n$/);
  });
});
