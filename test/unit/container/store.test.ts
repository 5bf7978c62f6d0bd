import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { thisProcess } from '../../../runtime/container/process.ts';
import { type ContainerState, timestamp } from '../../../runtime/container/state.ts';
import { ContainerStore, NoSuchContainer } from '../../../runtime/container/store.ts';
import { cleanUp, testDirectory } from '../../helpers/scow.ts';

afterEach(cleanUp);

let store: ContainerStore;
beforeEach(() => {
  store = new ContainerStore(join(testDirectory(), 'state'));
});

function stateOf(id: string): ContainerState {
  return {
    ociVersion: '1.3.0',
    id,
    bundle: '/b',
    rootfs: '/b/rootfs',
    annotations: {},
    created: timestamp(),
    owner: 0,
    pid: 0,
    startTime: '0',
    ownPidNamespace: true,
    cgroup: null,
    noNewKeyring: false,
    terminal: false,
    program: 'sh',
    launchedBy: thisProcess(),
  };
}

/** Asks util-linux's flock whether another process could take the lock. */
function isFree(id: string): boolean {
  const { status } = spawnSync('flock', ['--nonblock', store.directory(id), 'true']);
  return status === 0;
}

describe('container IDs', () => {
  test.each(['a', 'A-b_c.d+e,f', '.hidden', '...', '-x', '0', 'x'.repeat(255)])('%s', (id) => {
    store.create(id).release();
    expect(existsSync(join(store.root, id))).toBe(true);
  });

  test.each(['', '.', '..', 'a/b', '/', '../x', 'a b', 'ä', 'a\nb', 'a\0', 'a:b', 'x'.repeat(256)])(
    '%j is refused and nothing is made',
    (id) => {
      expect(() => store.create(id)).toThrow(/^invalid container ID/);
      expect(existsSync(store.root)).toBe(false);
    },
  );
});

describe('a container directory', () => {
  test('belongs to its owner alone', () => {
    store.create('one').release();
    store.write(stateOf('one'));
    for (const path of [store.root, store.directory('one')])
      expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(join(store.directory('one'), 'state.json')).mode & 0o777).toBe(0o600);
  });

  test('is reserved once', () => {
    store.create('one').release();
    expect(() => store.create('one')).toThrow(
      `container with ID "one" already exists in ${store.root}`,
    );
  });

  test('keeps what was written, until it is removed', () => {
    store.create('one').release();
    const state = stateOf('one');
    store.write(state);
    expect(store.read('one')).toEqual(state);
    expect(readdirSync(store.directory('one'))).toEqual(['state.json']);
    store.remove('one');
    expect(readdirSync(store.root)).toEqual([]);
    expect(() => store.read('one')).toThrow(NoSuchContainer);
  });

  test('keeps the configuration with all its digits, and for its owner alone', () => {
    store.create('one').release();
    store.keepConfig('one', '{"ociVersion": "1.3.0", "limit": 18446744073709551615}');
    expect(store.readConfig('one')).toEqual({ ociVersion: '1.3.0', limit: 2n ** 64n - 1n });
    expect(statSync(join(store.directory('one'), 'config.json')).mode & 0o777).toBe(0o600);
    expect(() => store.readConfig('two')).toThrow(NoSuchContainer);
  });

  test('is removed state last, so that a removal cut short can be repeated', () => {
    store.create('one').release();
    store.write(stateOf('one'));
    const busy = join(store.directory('one'), 'busy');
    mkdirSync(busy);
    spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', busy]);
    try {
      expect(() => store.remove('one')).toThrow('EBUSY');
      expect(store.read('one').id).toBe('one');
    } finally {
      spawnSync('umount', [busy]);
    }
    store.remove('one');
    expect(store.list()).toEqual([]);
  });
});

test('damaged state is said to be damaged', () => {
  store.create('one').release();
  writeFileSync(join(store.directory('one'), 'state.json'), '{');
  expect(() => store.read('one')).toThrow(/one\/state.json is damaged: /);
});

test('a hook timeout beyond 2^53 does not keep the state from being written', () => {
  store.create('one').release();
  const hook = { path: '/bin/true', timeout: (2n ** 60n) as unknown as number };
  store.write({ ...stateOf('one'), hooks: { poststop: [hook] } });
  expect(store.read('one').hooks?.poststop?.[0]?.timeout).toBe(2 ** 60);
});

test('containers are listed by name; what is no directory is none', () => {
  expect(store.list()).toEqual([]);
  for (const id of ['b', 'a', 'B', '.c']) store.create(id).release();
  writeFileSync(join(store.root, 'file'), '');
  expect(store.list()).toEqual(['.c', 'B', 'a', 'b']);
});

test('a reader sees the old state or the new one, never a part', async () => {
  store.create('one').release();
  store.write(stateOf('one'));
  const reader = spawn(
    process.execPath,
    [
      '-e',
      `const { readFileSync } = require('node:fs'); let reads = 0;
       process.stdin.on('end', () => { console.log(reads); process.exit(0); }).resume();
       setInterval(() => { for (let i = 0; i < 20; i++, reads++) JSON.parse(readFileSync(process.argv[1])); });`,
      join(store.directory('one'), 'state.json'),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let reads = '';
  reader.stdout.on('data', (text) => {
    reads += text;
  });
  for (let i = 0; i < 300; i++) {
    store.write({ ...stateOf('one'), annotations: { filler: 'x'.repeat(i * 50) } });
    if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  reader.stdin.end();
  const status = await new Promise((resolve) => reader.on('exit', resolve));
  expect(status).toBe(0);
  expect(Number(reads)).toBeGreaterThan(0);
});

describe('the lock of a container', () => {
  test('keeps other processes out until it is released', () => {
    const lock = store.create('one');
    expect(isFree('one')).toBe(false);
    expect(store.tryLock('one')).toBeUndefined();
    lock.release();
    expect(isFree('one')).toBe(true);
    const again = store.lock('one');
    expect(isFree('one')).toBe(false);
    again.release();
  });

  test('is that of one container only', () => {
    const lock = store.create('one');
    store.create('two').release();
    expect(isFree('two')).toBe(true);
    lock.release();
  });

  test('goes with the process that held it', async () => {
    store.create('one').release();
    const command = ['--close', store.directory('one'), 'sh', '-c', 'echo held; read x'];
    const holder = spawn('flock', command, { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    expect(store.tryLock('one')).toBeUndefined();
    holder.kill('SIGKILL');
    store.lock('one').release();
    holder.stdin.end();
  });

  test('is that of the container that has the ID now, if it was deleted and made anew meanwhile', async () => {
    const directory = store.directory('one');
    store.create('one').release();
    const script = 'echo held; sleep 0.2; mv "$1" "$1.old"; mkdir "$1"';
    const holder = spawn('flock', [directory, 'sh', '-c', script, 'sh', directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    const lock = store.lock('one');
    expect(isFree('one')).toBe(false);
    lock.release();
  });

  test('there is none without a container', () => {
    expect(() => store.lock('one')).toThrow(NoSuchContainer);
    expect(() => store.tryLock('one')).toThrow(
      `container does not exist: there is no "one" in ${store.root}`,
    );
  });
});
