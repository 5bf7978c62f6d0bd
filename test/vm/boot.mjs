/**
 * node test/vm/boot.mjs [--systemd] [--cpus N] [--share DIR] [--timeout SECONDS] -- COMMAND [ARGUMENT…]
 *
 * Boots Debian's kernel in qemu over the files of this machine and runs one command there, as root, in
 * the current folder. Its output and exit status are this program's. The machine's own files are
 * safe: the guest sees them under an overlay that is gone afterwards; only DIR is shared for writing.
 *
 * Without --systemd the first process is a shell script, and every controller of cgroup v2 is
 * enabled below the root; with it systemd boots, and the command runs in a service that was
 * delegated its cgroup. Exit status 124: the time was over; 125: the machine ended without a result; 126:
 * it cannot be started here.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const GUEST = join(dirname(fileURLToPath(import.meta.url)), 'guest');
const CACHE = '/var/tmp/scow-vm';
const VIRTIOFSD = '/usr/lib/qemu/virtiofsd';
/** Modules that a guest kernel needs before it sees the machine's files. */
const MODULES = ['virtio_pci', 'virtio_console', 'virtiofs', 'overlay'];
const MEMORY = '3072M';
/** Seconds, of which an idle machine takes some ten. */
const BOOT_TIME = 240;

function output(command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'latin1',
    maxBuffer: 1 << 28,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

/** The newest installed kernel of Debian's: the oldest that will do is 6.1. */
function kernelVersion() {
  const versions = readdirSync('/lib/modules').filter((name) =>
    existsSync(`/boot/vmlinuz-${name}`),
  );
  const [newest] = versions.toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  if (newest === undefined) throw new Error('no kernel is installed: see test/vm/run.sh');
  return newest;
}

/** Unpacked, a kernel boots some 5 seconds faster in emulation: qemu knows PVH, the entry of Xen. */
function makeKernel(version, file) {
  const packed = readFileSync(`/boot/vmlinuz-${version}`);
  const start = packed.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]));
  if (start >= 0) {
    const { stdout } = spawnSync('zstd', ['-dcq'], {
      input: packed.subarray(start),
      maxBuffer: 1 << 28,
    });
    if (stdout.subarray(0, 4).toString('latin1') === '\x7fELF') return writeWhole(file, stdout);
  }
  return writeWhole(file, packed);
}

/** A cpio archive with busybox and the modules. */
function makeInitrd(version, file) {
  const folder = mkdtempSync(join(tmpdir(), 'scow-vm-initrd-'));
  try {
    for (const name of ['bin', 'm', 'proc', 'sys', 'dev', 'lower', 'overlay', 'root'])
      mkdirSync(join(folder, name));
    copyFileSync('/bin/busybox', join(folder, 'bin/busybox'));
    output('depmod', version);
    const wanted = MODULES.flatMap((name) =>
      output('modprobe', '-S', version, '--show-depends', name).split('\n'),
    );
    const modules = wanted.flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []);
    for (const [i, module] of [...new Set(modules)].entries()) {
      const target = join(folder, 'm', `${100 + i}.ko`);
      if (module.endsWith('.xz')) {
        const { stdout } = spawnSync('xz', ['-dc', module], { maxBuffer: 1 << 28 });
        writeFileSync(target, stdout);
      } else copyFileSync(module, target);
    }
    writeWhole(file, archive(folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function archive(folder) {
  const { stdout, status } = spawnSync('sh', ['-c', 'find . | cpio -o -H newc --quiet'], {
    cwd: folder,
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error('cpio failed');
  return stdout;
}

function writeWhole(file, bytes) {
  writeFileSync(`${file}.${process.pid}`, bytes);
  renameSync(`${file}.${process.pid}`, file);
}

/** The scripts of this run, as a second archive: kernels unpack one after the other. */
function makeScripts(folder, { systemd, share, command }) {
  const root = join(folder, 'scripts');
  mkdirSync(join(root, 'scow-vm'), { recursive: true });
  for (const name of readdirSync(GUEST))
    copyFileSync(join(GUEST, name), join(root, 'scow-vm', name));
  renameSync(join(root, 'scow-vm/init'), join(root, 'init'));
  chmodSync(join(root, 'init'), 0o755);
  const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;
  writeFileSync(
    join(root, 'scow-vm/settings'),
    `systemd=${systemd ? 'yes' : ''}\nshare=${share === undefined ? '' : quoted(share)}\n`,
  );
  writeFileSync(
    join(root, 'scow-vm/command'),
    `cd ${quoted(process.cwd())}\nexport PATH=${quoted(process.env.PATH ?? '')} HOME=/root SCOW_VM=${systemd ? 'systemd' : 'plain'}\n` +
      `exec ${command.map(quoted).join(' ')}\n`,
  );
  return archive(root);
}

/**
 * Offers a directory to the guest, with what is mounted below it: a machine's checkout may be a
 * mount. The root goes without the kernel's own filesystems.
 */
const SERVE = `ulimit -n "$(ulimit -Hn)"
mount --rbind "$1" "$2" && { [ "$1" != / ] || umount -l "$2/proc" "$2/sys" "$2/dev" || :; } &&
exec "$0" --socket-path="$3" --rlimit-nofile=0 -o "source=$2,cache=$4,xattr,sandbox=chroot,log_level=err"`;

async function offer(machine, tag, directory, cache) {
  const { folder } = machine;
  const seen = join(folder, tag);
  const socket = join(folder, `${tag}.sock`);
  mkdirSync(seen);
  const script = ['sh', '-c', SERVE, VIRTIOFSD, directory, seen, socket, cache];
  const server = machine.start('unshare', ['--mount', ...script], tag);
  for (let i = 0; i < 400 && server.exitCode === null && !existsSync(socket); i++) await sleep(50);
  if (!existsSync(socket))
    throw new Error(`virtiofsd did not start for ${directory}: ${lastLine(machine.log(tag))}`);
  const device = `vhost-user-fs-pci,queue-size=1024,chardev=${tag},tag=${tag}`;
  return ['-chardev', `socket,id=${tag},path=${socket}`, '-device', device];
}

/** A port of the guest that writes to a file or pipe of ours. */
function port(number, name, path) {
  const device = `virtserialport,chardev=${name},nr=${number}`;
  return ['-chardev', `file,id=${name},path=${path}`, '-device', device];
}

/**
 * Copies what comes through a named pipe to a descriptor of ours.
 *
 * @returns what waits for the end of that, when nobody will begin to write any more
 */
function relay(path, fd) {
  output('mkfifo', path);
  // With a writer from the start it does not wait for one that never comes.
  const writer = openSync(path, 'r+');
  const reader = spawn('cat', [path], { stdio: ['ignore', fd, 'inherit'] });
  const closed = new Promise((resolve) => reader.on('close', resolve));
  return () => {
    closeSync(writer);
    return closed;
  };
}

/** What one run makes and starts, which ends with it. */
class Machine {
  folder = mkdtempSync(join(tmpdir(), 'scow-vm-'));
  #children = [];

  /** Its messages are kept. It does not outlive this process, however that ends. */
  start(command, args, name) {
    const log = openSync(join(this.folder, `${name}.log`), 'w');
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.on('error', (error) => writeFileSync(join(this.folder, `${name}.log`), error.message));
    this.#children.push(child);
    return child;
  }

  log(name) {
    return readIfThere(join(this.folder, `${name}.log`));
  }

  end() {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function boot(machine, { systemd, cpus, share, timeout, command }) {
  const { folder } = machine;
  const version = kernelVersion();
  const cache = join(CACHE, version);
  mkdirSync(cache, { recursive: true });
  if (!existsSync(join(cache, 'vmlinux'))) makeKernel(version, join(cache, 'vmlinux'));
  if (!existsSync(join(cache, 'initrd'))) makeInitrd(version, join(cache, 'initrd'));
  const scripts = makeScripts(folder, { systemd, share, command });
  const initrd = join(folder, 'initrd');
  writeFileSync(initrd, Buffer.concat([readFileSync(join(cache, 'initrd')), scripts]));
  const shares = await offer(machine, 'machine', '/', 'always');
  if (share !== undefined) shares.push(...(await offer(machine, 'share', share, 'auto')));
  const streams = [relay(join(folder, 'out'), 1), relay(join(folder, 'err'), 2)];
  const qemu = machine.start(
    'qemu-system-x86_64',
    [
      ...['-M', 'pc', '-nodefaults', '-display', 'none', '-no-reboot', '-smp', cpus, '-m', MEMORY],
      // Emulation: a /dev/kvm that is not the processor's own hangs an ordinary kernel.
      ...['-accel', 'tcg,thread=multi,tb-size=1024', '-cpu', 'max'],
      // A memfd needs no room in /dev/shm, which is small in containers.
      ...['-object', `memory-backend-memfd,id=memory,size=${MEMORY},share=on`],
      ...['-machine', 'memory-backend=memory', '-serial', `file:${join(folder, 'console.log')}`],
      ...['-device', 'virtio-serial-pci,max_ports=4'],
      ...port(1, 'out', join(folder, 'out')),
      ...port(2, 'err', join(folder, 'err')),
      ...port(3, 'status', join(folder, 'status')),
      ...shares,
      ...['-kernel', join(cache, 'vmlinux'), '-initrd', initrd, '-append'],
      'console=ttyS0 loglevel=4 panic=-1 mitigations=off no5lvl apparmor=1 security=apparmor systemd.show_status=0',
    ],
    'qemu',
  );
  const why = await ending(qemu, join(folder, 'status'), timeout);
  await Promise.all(streams.map((end) => end()));
  const [, status] = readIfThere(join(folder, 'status')).trim().split('\n');
  if (status !== undefined) return Number(status);
  const log = `${machine.log('qemu')}\n${machine.log('console')}`.trim().split('\n').slice(-40);
  console.error(`${log.join('\n')}\ntest/vm: ${why ?? 'the machine ended early'}`);
  return why === undefined ? 125 : 124;
}

/**
 * Waits for the machine to end, but neither for one that does not come up nor for ever.
 *
 * @returns why it was ended, if it was
 */
async function ending(qemu, status, timeout) {
  const closed = new Promise((resolve) => qemu.on('close', resolve));
  const began = Date.now();
  const seconds = () => (Date.now() - began) / 1000;
  const wait = () => Promise.race([closed.then(() => 'ended'), sleep(250)]);
  let why;
  while (why === undefined && (await wait()) !== 'ended') {
    if (seconds() > timeout) why = `no end after ${timeout} s`;
    else if (seconds() > BOOT_TIME && readIfThere(status) === '')
      why = `the machine was not up after ${BOOT_TIME} s`;
  }
  if (why !== undefined) qemu.kill('SIGKILL');
  await closed;
  return why;
}

function lastLine(text) {
  return text.trim().split('\n').at(-1);
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, 'latin1') : '';
}

const { values, positionals } = parseArgs({
  options: {
    systemd: { type: 'boolean', default: false },
    cpus: { type: 'string', default: '2' },
    share: { type: 'string' },
    timeout: { type: 'string', default: '600' },
  },
  allowPositionals: true,
});
const machine = new Machine();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    machine.end();
    process.exit(124);
  });
try {
  process.exitCode = await boot(machine, {
    systemd: values.systemd,
    cpus: values.cpus,
    share: values.share === undefined ? undefined : realpathSync(values.share),
    timeout: Number(values.timeout),
    command: positionals,
  });
} catch (error) {
  console.error(`test/vm: the machine cannot be started: ${error.message}`);
  process.exitCode = 126;
} finally {
  machine.end();
}
