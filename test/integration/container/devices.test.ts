import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NUMBERS } from '../../../runtime/linux/numbers.ts';
import type { DeviceRule } from '../../../schemas/runtime-config.ts';
import {
  both,
  capable,
  type Edit,
  lines,
  linuxOf,
  mounting,
  output,
  portable,
  processOf,
  run,
  runBundle,
  shell,
  writable,
} from '../../helpers/container.ts';
import { mountsOf } from '../../helpers/left-behind.ts';
import { bundleOf, cleanUp, ENGINES, testDirectory } from '../../helpers/scow.ts';

afterEach(cleanUp);

/** As a kernel before 6.6: a filter of system calls (seccomp(2)) answers ENOSYS to this one. */
const WITHOUT_FCHMODAT2 = `
  my $filter = pack("SCCL" x 4,
    0x20, 0, 0, 0,  0x15, 0, 1, ${NUMBERS.fchmodat2},  6, 0, 0, 0x50026,  6, 0, 0, 0x7fff0000);
  syscall(${NUMBERS.prctl}, 22, 2, pack("Sx6P", 4, $filter), 0, 0) == 0 or die $!;
  exec @ARGV;`;

const LIST = `for f in $(ls -A /dev | sort); do
  if [ -L /dev/$f ]; then echo "$f -> $(readlink /dev/$f)"; else stat -c '%n %F %a %u %g %t %T' /dev/$f; fi
done`;

describe.each(ENGINES)('/dev under %s', (engine) => {
  it('has the devices and links of crun and runc', () => {
    const own = lines(engine, LIST);
    expect(own).toContain('/dev/null character special file 666 0 0 1 3');
    expect(own).toContain('stderr -> /proc/self/fd/2');
    // crun makes the link to the kernel's memory even where there is no such file.
    const noCore = (line: string) => !line.startsWith('core');
    expect(own.filter(noCore)).toEqual(lines('crun', LIST).filter(noCore));
    expect(own).toEqual(lines('runc', LIST));
  });

  it('has the devices that are configured', () => {
    const edit: Edit = (config) => {
      linuxOf(config).devices = [
        { path: '/dev/chr', type: 'c', major: 10, minor: 229, fileMode: 0o640, uid: 7, gid: 8 },
        { path: '/dev/unbuffered', type: 'u', major: 60, minor: 300 },
        { path: '/dev/sub/dir/blk', type: 'b', major: 7, minor: 1, fileMode: 0o600 },
        { path: '/dev/pipe', type: 'p', fileMode: 0o622, uid: 3 },
        { path: '/dev/chr', type: 'u', major: 10, minor: 229, fileMode: 0o20640, uid: 7, gid: 8 },
        { path: '/dev/null', type: 'c', major: 1, minor: 3, fileMode: 0o600 },
        { path: '/elsewhere/zero', type: 'c', major: 1, minor: 5, fileMode: 0o4755 },
      ];
    };
    const script = `
      stat -c '%n %F %a %u %g %t,%T' /dev/chr /dev/unbuffered /dev/sub/dir/blk /dev/pipe /dev/null \\
        /elsewhere/zero
      stat -c %a /dev/sub /dev/sub/dir`;
    expect(lines(engine, script, both(writable, edit))).toEqual([
      '/dev/chr character special file 640 7 8 a,e5',
      '/dev/unbuffered character special file 666 0 0 3c,12c',
      '/dev/sub/dir/blk block special file 600 0 0 7,1',
      '/dev/pipe fifo 622 3 0 0,0',
      '/dev/null character special file 600 0 0 1,3',
      '/elsewhere/zero character special file 4755 0 0 1,5',
      '755',
      '755',
    ]);
  });

  it('has owners and modes where the kernel has no fchmodat2, and few descriptors are allowed', () => {
    const edit: Edit = (config) => {
      linuxOf(config).devices = [
        { path: '/etc/zero', type: 'c', major: 1, minor: 5, fileMode: 0o2640, uid: 7, gid: 8 },
      ];
      delete processOf(config).rlimits;
    };
    const all = both(portable, writable, edit, shell('stat -c "%a %u %g" /etc/zero'));
    const { stdout, stderr } = run(engine, all, {
      through: ['prlimit', '--nofile=256:256', 'perl', '-e', WITHOUT_FCHMODAT2],
    });
    expect({ stdout, stderr }).toEqual({ stdout: '2640 7 8\n', stderr: '' });
  });

  it('may be read-only, and is filled before', () => {
    const edit: Edit = (config) => {
      const dev = config.mounts?.find(({ destination }) => destination === '/dev');
      dev?.options?.push('ro');
    };
    const script = `${LIST}; touch /dev/new 2>&1 | sed 's/.*: //'; touch /dev/shm/new && echo made`;
    const shown = lines(engine, script, edit);
    expect(shown).toContain('/dev/zero character special file 666 0 0 1 5');
    expect(shown.slice(-2)).toEqual(['Read-only file system', 'made']);
    expect(shown).toEqual(lines('runc', script, edit));
  });

  it('is left as it is when the user supplies one', () => {
    const source = join(testDirectory(), 'dev');
    mkdirSync(source);
    writeFileSync(join(source, 'mine'), '');
    const edit: Edit = (config) => {
      config.mounts = [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/dev', type: 'bind', source, options: ['rbind'] },
      ];
    };
    expect(lines(engine, 'ls -A /dev', edit)).toEqual(['mine']);
  });

  it('may belong to the image', () => {
    const edit = both(portable, shell(LIST), (config) => {
      config.mounts = [{ destination: '/proc', type: 'proc', source: 'proc' }];
      config.root = { path: 'rootfs', readonly: false };
    });
    const bundle = bundleOf(edit);
    symlinkSync('somewhere', join(bundle, 'rootfs/dev/stdin'));
    const own = runBundle(engine, bundle);
    expect(own.stderr).toBe('');
    expect(own.stdout).toContain('stdin -> somewhere');
    expect(own.stdout).toContain('/dev/null character special file 666 0 0 1 3');
    // Once more, over what is there now.
    expect(runBundle(engine, bundle).stdout).toBe(own.stdout);
  });

  it('has devices that work', () => {
    const script = `
      echo lost > /dev/null && wc -c < /dev/null
      head -c4 /dev/zero | wc -c; head -c4 /dev/urandom | wc -c
      (echo full > /dev/full) 2>&1 | sed 's/.*: //'
      echo piped | cat /dev/stdin; echo out >> /dev/stdout; echo 5 5>&1 >>/dev/fd/5`;
    expect(lines(engine, script)).toEqual([
      ...['0', '4', '4', 'No space left on device', 'piped', 'out', '5'],
    ]);
  });

  it('has shared memory, message queues and terminals of its own', () => {
    const script = `
      stat -f -c %T /dev/shm /dev/mqueue /dev/pts
      echo x > /dev/shm/x && cat /dev/shm/x; ls -A /dev/mqueue /dev/pts
      touch /dev/mqueue/queue && cat /dev/mqueue/queue
      stat -c '%a %t,%T' /dev/pts/ptmx`;
    const shown = lines(engine, script, writable);
    expect(shown).toEqual(lines('runc', script, writable));
    expect(shown).toContain('x');
    expect(shown.at(-1)).toBe('666 5,2');
  });
});

describe.each(ENGINES)('device rules under %s', (engine) => {
  const allow = (rule: Partial<DeviceRule>): DeviceRule => ({ allow: true, ...rule });

  /** Which of a device's uses the kernel allows. */
  function used(rules: readonly DeviceRule[]): string {
    const edit: Edit = (config) => {
      linuxOf(config).resources = { devices: rules.map((rule) => ({ ...rule })) };
      config.mounts = config.mounts?.filter(({ type }) => type !== 'cgroup') ?? [];
    };
    const script = `
      mknod /tmp/loop b 7 99 2>/dev/null && echo mknod
      (: < /dev/host) 2>&1 | grep -q 'not permitted' || echo read
      (: >> /dev/host) 2>&1 | grep -q 'not permitted' || echo write
      : > /dev/null && echo null`;
    const host: Edit = (config) => {
      linuxOf(config).devices = [{ path: '/dev/host', type: 'c', major: 60, minor: 3 }];
    };
    const all = both(edit, host, writable, capable('CAP_MKNOD'), shell(script));
    return output(engine, all).trimEnd().split('\n').join(' ');
  }

  it('forbid all but the default devices, as in the default configuration', () => {
    expect(used([{ allow: false, access: 'rwm' }])).toBe('mknod null');
  });

  it('allow what they name', () => {
    const none = { allow: false, access: 'rwm' };
    expect(used([none, allow({ type: 'c', major: 60, minor: 3, access: 'r' })])).toBe(
      'mknod read null',
    );
    expect(used([none, allow({ type: 'c', major: 60, access: 'rw' })])).toBe(
      'mknod read write null',
    );
    expect(used([allow({ access: 'rwm' })])).toBe('mknod read write null');
  });
});

describe.each(ENGINES)('masked and read-only paths under %s', (engine) => {
  const edit =
    (masked: string[], readonly: string[]): Edit =>
    (config) => {
      linuxOf(config).maskedPaths = masked;
      linuxOf(config).readonlyPaths = readonly;
      config.root = { path: 'rootfs', readonly: false };
    };

  it('hide files and directories, through symlinks too, and pass over what is missing', () => {
    const bundle = bundleOf(
      both(
        portable,
        edit(['/etc/secret', '/etc/private', '/etc/link', '/etc/none/at/all', '/etc/secret/x'], []),
        shell('cat /etc/secret /etc/other; ls -A /etc/private; touch /etc/private/x || echo no'),
      ),
    );
    const etc = join(bundle, 'rootfs/etc');
    writeFileSync(join(etc, 'secret'), 'secret\n');
    writeFileSync(join(etc, 'other'), 'other\n');
    mkdirSync(join(etc, 'private'));
    writeFileSync(join(etc, 'private/file'), '');
    symlinkSync('other', join(etc, 'link'));
    const { status, stdout } = runBundle(engine, bundle);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'no\n' });
  });

  it('make files and directories read-only, keeping the flags that they have', () => {
    const script = `
      for p in /tmp/sub/new /etc/passwd; do (: > $p) 2>&1 | sed 's/.*: //'; done
      touch /tmp/new && echo written
      grep ' /tmp/sub ' /proc/self/mountinfo | cut -d' ' -f6`;
    const paths = edit([], ['/tmp/sub', '/etc/passwd', '/none']);
    const mount = mounting({
      destination: '/tmp',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'nodev', 'noexec'],
    });
    const bundle = bundleOf(both(portable, paths, shell(script)));
    mkdirSync(join(bundle, 'rootfs/tmp/sub'));
    expect(runBundle(engine, bundle).stdout.split('\n')).toEqual([
      ...['Read-only file system', 'Read-only file system', 'written', 'ro,relatime', ''],
    ]);
    const cwd: Edit = (config) => {
      processOf(config).cwd = '/tmp/sub';
    };
    const onTmpfs = lines(
      engine,
      "grep ' /tmp/sub ' /proc/self/mountinfo | cut -d' ' -f6",
      both(paths, mount, cwd),
    );
    expect(onTmpfs).toEqual(['ro,nosuid,nodev,noexec,relatime']);
  });

  it('change nothing on the host', () => {
    const bundle = bundleOf(both(portable, edit(['/etc/private'], ['/etc']), shell(':')));
    mkdirSync(join(bundle, 'rootfs/etc/private'));
    writeFileSync(join(bundle, 'rootfs/etc/private/file'), 'kept');
    expect(runBundle(engine, bundle).status).toBe(0);
    // Other tests mount and unmount meanwhile.
    expect(mountsOf(bundle)).toEqual([]);
    expect(spawnSync('cat', [join(bundle, 'rootfs/etc/private/file')]).stdout.toString()).toBe(
      'kept',
    );
  });
});
