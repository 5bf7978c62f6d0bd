import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundlerCommand, scowBundle } from '../../../helpers/bundler.ts';
import { LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { MappedUser } from '../../../helpers/mapped-user.ts';
import { home } from '../../../helpers/places/home-per-file.ts';
import { reachableBuild } from '../../../helpers/reachable-build.ts';
import { DockerRegistry } from '../../../helpers/registry.ts';
import { cleanUp, ENGINES, eventually, newId, rootOf, scow } from '../../../helpers/scow.ts';
import { archive, directory, file, hardLink } from '../../../helpers/tar.ts';

/** `run`: a container of an image, of which nothing is left. */

jest.setTimeout(300_000);

const APPLETS = [
  'sh',
  'id',
  'cat',
  'echo',
  'hostname',
  'pwd',
  'sleep',
  'ip',
  'env',
  'touch',
  'tty',
];

let store: string;
let image: string;

beforeAll(() => {
  spawnSync('chmod', ['755', home]);
  store = join(home, 'store');
  const layout = new LayoutBuilder(join(home, 'image'));
  const layer = archive(
    directory('bin'),
    file('bin/busybox', readFileSync('/bin/busybox'), { mode: 0o755 }),
    ...APPLETS.map((name) => hardLink(`bin/${name}`, 'bin/busybox')),
    directory('etc'),
    file('etc/passwd', 'root:x:0:0::/:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n'),
    file('etc/group', 'root:x:0:\nextra:x:50:app\n'),
    directory('srv'),
    directory('tmp', { mode: 0o1777 }),
    directory('home'),
    directory('home/app', { mode: 0o700, uid: 1000, gid: 1001 }),
    file('home/app/own', 'own\n', { mode: 0o600, uid: 1000, gid: 1001 }),
  );
  const config = {
    Entrypoint: ['/bin/echo', 'entry'],
    Cmd: ['command'],
    Env: ['A=image', 'B=image'],
    WorkingDir: '/srv',
  };
  const manifest = layout.image({ layers: [layer], config: { config } });
  const far = archive(file('far', '', { uid: 70_000 }));
  const others = tagged(
    layout.image({ layers: [layer, far], config: { config: { ...config, User: 'app' } } }),
    'far',
  );
  image = `oci:${layout.finish(tagged(manifest, 'v1'), others)}:v1`;
});
afterEach(cleanUp);

const words = (...args: string[]) => ['--store', store, 'run', '--root', rootOf('scow'), ...args];
const run = (...args: string[]) => scowBundle(words(...args));

function nothingIsLeft(): void {
  expect(readdirSync(join(store, 'runs'))).toEqual([]);
  expect(readdirSync(join(store, 'leases'))).toEqual([]);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(`${store}/runs`);
  expect(JSON.parse(scow(['list', '--format', 'json']).stdout)).toBeNull();
}

test.each(ENGINES)("the image's program, with its arguments or with others (%s)", (engine) => {
  const call = (...args: string[]) => scowBundle(words(...args), { engine });
  const printed = (stdout: string) => ({ status: 0, stdout, stderr: '' });
  expect(call(image)).toEqual(printed('entry command\n'));
  expect(call(image, '-n', '--', '-e')).toEqual(printed('entry -n -- -e\n'));
  expect(call('--entrypoint', 'sh', image, '-c', 'exit 7')).toMatchObject({ status: 7 });
  nothingIsLeft();
});

test('what is asked for is what the program finds', () => {
  const volume = join(home, 'volume');
  mkdirSync(volume);
  writeFileSync(join(volume, 'file'), 'of the host\n');
  const script = `
    id -u; id -G; pwd; hostname; cat /etc/hostname; echo $A $B $C $D
    cat /etc/hosts; cat /vol/file; echo new > /vol/new; touch /ro/x /x; ip -o link; tty; cat`;
  const flags = [
    ...['-u', 'app', '-w', '/', '--hostname', 'my-host', '--name', newId(), '--read-only'],
    ...['-e', 'B=flag', '-e', 'C=x=y z', '-e', 'UNKNOWN_TO_US', '-e', 'D'],
    ...['-v', `${volume}:/vol`, '-v', `${volume}:/ro:ro,noexec`, '--rm', '-i'],
  ];
  spawnSync('chmod', ['777', volume]);
  const [command, ...first] = bundlerCommand('bun');
  const result = spawnSync(
    command,
    [...first, ...words(...flags, '--entrypoint', 'sh', image, '-c', script)],
    { encoding: 'utf8', input: 'standard input', env: { ...process.env, D: 'ours' } },
  );
  expect(result.stderr.split('\n')).toEqual([
    'touch: /ro/x: Read-only file system',
    'touch: /x: Read-only file system',
    '',
  ]);
  const lines = result.stdout.split('\n');
  expect(lines).toEqual([
    ...['1000', '1001 50', '/', 'my-host', 'my-host', 'image flag x=y z ours'],
    ...['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback'],
    ...['127.0.1.1\tmy-host', 'of the host'],
    expect.stringMatching(/^1: lo: /),
    ...lines.slice(11, -2),
    ...['not a tty', 'standard input'],
  ]);
  expect(readFileSync(join(volume, 'new'), 'utf8')).toBe('new\n');
  nothingIsLeft();
});

test("the host's network, another one, and none", () => {
  const links = (...flags: string[]) =>
    run(...flags, '--entrypoint', 'cat', image, '/proc/self/net/dev', '/etc/resolv.conf').stdout;
  const ours = readFileSync('/etc/resolv.conf', 'utf8').trim();
  const names = (text: string) => [...text.matchAll(/^\s*(\S+):\s+\d/gm)].map(([, name]) => name);
  expect(names(links('--network', 'host'))).toEqual(
    names(readFileSync('/proc/self/net/dev', 'utf8')),
  );
  expect(names(links())).toContain('lo');
  expect(links('--network', 'host')).toContain(ours);
  const namespace = spawn('unshare', ['--net', 'sleep', '1000'], { stdio: 'ignore' });
  try {
    const path = `/proc/${namespace.pid}/ns/net`;
    const inside = () => spawnSync('readlink', [path], { encoding: 'utf8' }).stdout;
    const host = spawnSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).stdout;
    while (inside() === host);
    spawnSync('nsenter', [`--net=${path}`, 'ip', 'link', 'add', 'mine', 'type', 'dummy']);
    const other = names(links('--network', path));
    expect(other).toContain('lo');
    expect(other).not.toEqual(names(readFileSync('/proc/self/net/dev', 'utf8')));
  } finally {
    namespace.kill('SIGKILL');
  }
});

test.each([
  [['-p', '80:80'], /^scow-bundle: -p: scow-bundle makes no networks, .*--network host/],
  [['-v', 'data:/data'], /^scow-bundle: -v "data:\/data": there are no named volumes; /],
  [['-v', '/nowhere:/data'], /^scow-bundle: -v "\/nowhere:\/data": there is no \/nowhere\n/],
  [['-v', '/tmp:/data:Z'], /the option "Z" is unknown; there is ro, rw/],
  [['-v', '/tmp'], /want SOURCE:DESTINATION/],
  [['--network', 'bridge'], /--network "bridge": want none, host, or the path/],
  [['--name', 'a/b'], /--name "a\/b": want letters/],
  [['-u', 'nobody'], /the image's \/etc\/passwd has no user "nobody"/],
  [['-e', '=x'], /-e "=x": want NAME=VALUE or NAME/],
])('%j is refused in one line, and leaves nothing', (flags, message) => {
  const result = run(...flags, image);
  expect(result).toEqual({ status: 1, stdout: '', stderr: expect.stringMatching(message) });
  expect(result.stderr.split('\n')).toHaveLength(2);
  nothingIsLeft();
});

/** Begins a run whose program sleeps once it has said so. */
async function sleeping(...flags: string[]) {
  const [command, ...first] = bundlerCommand('bun');
  const script = 'trap "echo got it; exit 9" TERM; echo up; while :; do sleep 0.1; done';
  const args = words(...flags, '--entrypoint', 'sh', image, '-c', script);
  const child = spawn(command, [...first, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (bytes) => {
    said += bytes;
  });
  await eventually(() => said.includes('up'));
  return { child, said: () => said };
}

test('a signal is the program’s', async () => {
  const { child, said } = await sleeping();
  child.kill('SIGTERM');
  expect(await once(child, 'close')).toEqual([9, null]);
  expect(said()).toBe('up\ngot it\n');
  nothingIsLeft();
});

test('what a killed run has left goes with the next one', async () => {
  const { child } = await sleeping();
  child.kill('SIGKILL');
  child.stdout.destroy();
  await once(child, 'exit');
  expect(readdirSync(join(store, 'runs'))).toHaveLength(1);
  // Also of one that has its containers elsewhere.
  const elsewhere = ['--store', store, 'run', '--root', join(home, 'elsewhere'), image];
  expect(scowBundle(elsewhere)).toEqual({ status: 0, stdout: 'entry command\n', stderr: '' });
  nothingIsLeft();
});

test('an image that the store does not have is pulled, once', async () => {
  const registry = await DockerRegistry.start(join(home, 'registry'));
  const name = `${registry.host}/app:1`;
  try {
    const copied = scowBundle(['copy', '--quiet', '--insecure', image, `docker://${name}`]);
    expect(copied).toMatchObject({ status: 0, stderr: '' });
    expect(run('--quiet', '--insecure', name)).toEqual({
      status: 0,
      stdout: 'entry command\n',
      stderr: '',
    });
  } finally {
    await registry.stop();
  }
  expect(run(name, 'again')).toEqual({ status: 0, stdout: 'entry again\n', stderr: '' });
  expect(run('--insecure', `${registry.host}/other:1`)).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(/^scow-bundle: .*other:1.*; and .*connection refused.*\n$/),
  });
  nothingIsLeft();
});

test('--keep keeps the bundle, which is a bundle like any other', () => {
  const name = newId();
  const flags = ['--keep', '--name', name, '--entrypoint', 'touch'];
  const bundle = join(store, 'bundles', name);
  expect(run(...flags, image, '/made')).toEqual({
    status: 0,
    stdout: '',
    stderr: `scow-bundle: kept the bundle ${bundle}\n`,
  });
  expect(existsSync(join(bundle, 'rootfs/made'))).toBe(true);
  expect(run(...flags, image)).toMatchObject({
    status: 1,
    stderr: `scow-bundle: ${bundle} exists: choose another --name, or scow-bundle delete ${bundle}\n`,
  });
  expect(scowBundle(['delete', bundle])).toEqual({ status: 0, stdout: '', stderr: '' });
  nothingIsLeft();
});

/** What runs scow-bundle as an ordinary user, with a store of their own. */
function ordinaryUser(name: string, uid: number, gid: number) {
  const own = join(home, name);
  for (const path of [own, join(own, 'run')]) mkdirSync(path);
  const build = reachableBuild(own);
  spawnSync('chown', ['-R', `${uid}:${gid}`, own]);
  spawnSync('chmod', ['-R', 'a+rX', join(home, 'image')]);
  const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
  const env = { PATH: process.env.PATH, XDG_DATA_HOME: own, XDG_RUNTIME_DIR: join(own, 'run') };
  const as = (program: string, ...args: string[]) => {
    const words = [...user, join(build, program), ...args];
    const options = { cwd: own, encoding: 'utf8', env } as const;
    const { status, stdout, stderr } = spawnSync('setpriv', words, options);
    return { status, stdout, stderr };
  };
  const begin = (...args: string[]) =>
    spawn('setpriv', [...user, join(build, 'scow-bundle'), ...args], {
      cwd: own,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  return { own, as, begin, call: (...args: string[]) => as('scow-bundle', ...args) };
}

test('an ordinary user runs it too', () => {
  const { own, call } = ordinaryUser('user', 4321, 4321);
  const script = `
    id -u; echo x > /new; cat /new /etc/hostname /home/app/own; echo $HOME
    while read -r _ where type _; do [ $where != / ] || echo $type; done </proc/self/mounts
    exit 4`;
  const args = ['--entrypoint', 'sh', image, '-c', script];
  expect(call('run', '--name', 'mine', ...args)).toEqual({
    status: 4,
    stdout: '0\nx\nmine\nown\n/\noverlay\n',
    stderr: '',
  });
  expect(call('run', '-u', 'app', image)).toEqual({
    status: 1,
    stdout: '',
    stderr:
      'scow-bundle: -u "app" (1000:1001) cannot be had in an ordinary user\'s container: /etc/subuid has no line for 4321: as root, usermod --add-subuids 100000-165535 --add-subgids 100000-165535 4321 adds some, if no other user has them\n',
  });
  expect(readdirSync(join(own, 'scow/runs'))).toEqual([]);
});

test('an ordinary user with subordinate IDs has all users of the image', async () => {
  const account = new MappedUser();
  account.add();
  try {
    const { own, as, call, begin } = ordinaryUser('mapped', account.uid, account.gid);
    const script = `
      id -u; id -G; echo more >>/home/app/own; cat /home/app/own; echo x >/tmp/x; touch /y || :
      cat /proc/self/uid_map`;
    const flags = ['-u', 'app', '--keep', '--name', 'kept', '--entrypoint', 'sh'];
    const { status, stdout, stderr } = call('run', ...flags, image, '-c', script);
    const bundle = join(own, 'scow/bundles/kept');
    expect({ status, stderr: stderr.split('\n') }).toEqual({
      status: 0,
      stderr: ['touch: /y: Permission denied', `scow-bundle: kept the bundle ${bundle}`, ''],
    });
    const maps = ['0 0 1', '1 1 65536'].map((line) => line.replaceAll(' ', '\\s+'));
    expect(stdout).toMatch(new RegExp(`^1000\n1001 50\nown\nmore\n\\s+${maps.join('\n\\s+')}\n$`));
    // Also a container whose program is not the caller goes with the next run, from outside.
    const endless = 'echo up; while :; do sleep 0.1; done';
    const killed = begin('run', '-u', 'app', '--entrypoint', 'sh', image, '-c', endless);
    await once(killed.stdout, 'data');
    killed.kill('SIGKILL');
    killed.stdout.destroy();
    await once(killed, 'exit');
    await eventually(() => readdirSync(join(own, 'scow/runs')).length === 1);
    expect(call('run', image)).toEqual({ status: 0, stdout: 'entry command\n', stderr: '' });
    expect(readdirSync(join(own, 'scow/runs'))).toEqual([]);
    // On the host it is one of theirs.
    expect(statSync(join(bundle, 'upper/home/app/own')).uid).toBe(account.range.uid + 999);
    expect(call('diff', bundle).stdout).toBe(
      'C /home\nC /home/app\nC /home/app/own\nC /tmp\nA /tmp/x\n',
    );
    expect(call('commit', '--quiet', bundle, 'again')).toMatchObject({ status: 0, stderr: '' });
    expect(call('ls', '-l', 'again:/home/app').stdout).toMatch(/1000 +1001 .*own\n/);
    const done = { status: 0, stderr: '' };
    expect(call('delete', bundle)).toMatchObject(done);
    expect(readdirSync(join(own, 'scow/layers')).join()).toMatch(/^sha256-[0-9a-f]+\.namespace$/);
    expect(call('prune', '--all')).toMatchObject(done);
    expect(readdirSync(join(own, 'scow/layers'))).toEqual([]);
    const far = image.replace(/v1$/, 'far');
    expect(call('run', '--quiet', far)).toEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /: far: cannot set its owner: .* this user namespace has no such user or group: map more .*\n$/,
      ),
    });
    // A bundle for runtimes has the IDs that its user needs.
    expect(call('unpack', '--image', far.slice('oci:'.length), 'bundle')).toMatchObject(done);
    const runtime = (...args: string[]) => as('scow', 'run', '--bundle', 'bundle', ...args);
    expect(runtime(newId())).toEqual({ ...done, stdout: 'entry command\n' });
    const config = JSON.parse(readFileSync(join(own, 'bundle/config.json'), 'utf8'));
    expect(config.process.user).toEqual({ uid: 1000, gid: 1001, additionalGids: [50] });
    expect(call('delete', 'bundle')).toMatchObject(done);
  } finally {
    account.remove();
  }
});
