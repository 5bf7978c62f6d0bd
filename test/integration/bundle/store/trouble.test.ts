import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once as ending } from 'node:events';
import { closeSync, mkdirSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkStore } from '../../../../bundle/store/check.ts';
import { bundlerCommand, scowBundle } from '../../../helpers/bundler.ts';
import { LayoutBuilder, tagged } from '../../../helpers/layout.ts';
import { home } from '../../../helpers/places/home-per-test.ts';
import { store } from '../../../helpers/places/store-per-test.ts';
import { putImage } from '../../../helpers/stored.ts';
import { archive } from '../../../helpers/tar.ts';
import { bundler } from './support.ts';

/** What happens to a store when several processes change it, are killed, or the disk is full. */

test('processes that change the store at once wait for each other', async () => {
  await putImage(store, 'app');
  const names = Array.from({ length: 8 }, (_, i) => `app:${i}`);
  const [command = '', ...first] = bundlerCommand('bun');
  const ends = names.map((name) => {
    const child = spawn(command, [...first, '--store', store.path, 'tag', 'app', name]);
    return ending(child, 'exit');
  });
  expect(await Promise.all(ends)).toEqual(names.map(() => [0, null]));
  expect(new Set(store.references().map(({ name }) => name))).toEqual(
    new Set(['localhost/app:latest', ...names.map((name) => `localhost/${name}`)]),
  );
});

test('prune takes nothing of what is being copied, and all that a killed copy left', async () => {
  const layout = new LayoutBuilder(join(home, 'layout'));
  const layers = [1, 2, 3].map(() => archive({ name: 'file', content: randomBytes(3_000_000) }));
  layout.finish(tagged(layout.image({ layers }), 'x'));
  const [command = '', ...first] = bundlerCommand('bun');
  const words = [...first, '--store', store.path, 'copy', '-q', `oci:${layout.path}:x`, 'app'];
  for (const milliseconds of [60, 120]) {
    const copy = spawn(command, words, { stdio: 'ignore' });
    const end = ending(copy, 'exit');
    await sleep(milliseconds);
    copy.kill('SIGSTOP');
    const prune = spawn(command, [...first, '--store', store.path, 'prune']);
    const pruned = ending(prune, 'exit');
    // It waits where the copy was stopped while it had the store for itself.
    await Promise.race([pruned, sleep(1000)]);
    copy.kill('SIGCONT');
    expect([await pruned, await end]).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(bundler('verify', 'localhost/app')).toContain(': sound');
    bundler('rmi', 'app');
    const killed = spawn(command, words, { stdio: 'ignore' });
    const death = ending(killed, 'exit');
    await sleep(milliseconds);
    killed.kill('SIGKILL');
    await death;
    expect((await checkStore(store, false)).problems).toEqual([]);
    bundler('prune', '--all');
    expect(readdirSync(join(store.path, 'blobs/sha256'))).toEqual([]);
    expect(readdirSync(join(store.path, 'leases'))).toEqual([]);
    expect(readdirSync(join(store.path, 'tmp'))).toEqual([]);
  }
});

test('a store whose making was killed can be used at once', () => {
  mkdirSync(store.path, { mode: 0o700 });
  writeFileSync(join(store.path, 'lock'), '');
  for (const words of [['prune', '--dry-run'], ['images'], ['prune'], ['store', 'check']])
    expect(scowBundle(['--store', store.path, ...words])).toMatchObject({ status: 0, stderr: '' });
});

test('on a full disk nothing is lost, and an image can be removed', async () => {
  mkdirSync(store.path);
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'scow-test', store.path]);
  try {
    await putImage(store, 'app', { layers: [Buffer.alloc(200_000, 'a')] });
    await expect(putImage(store, 'big', { layers: [Buffer.alloc(400_000, 'b')] })).rejects.toThrow(
      /^cannot write sha256:[0-9a-f]{64} to the image store .*: no space left on device \(ENOSPC\)$/,
    );
    expect(readdirSync(join(store.path, 'tmp'))).toEqual([]);
    const filler = openSync(join(store.path, 'filler'), 'w');
    try {
      for (;;) writeSync(filler, Buffer.alloc(4096));
    } catch {
      closeSync(filler);
    }
    const source = await store.source('app');
    source.close();
    await expect(putImage(store, 'small', { config: { author: 'x' } })).rejects.toThrow(
      `cannot use the image store ${store.path}: no space left on device (ENOSPC)`,
    );
    expect((await checkStore(store, false)).problems).toEqual([]);
    expect(bundler('images', '-q')).toMatch(/^[0-9a-f]{12}\n$/);
    expect(bundler('remove', 'app')).toContain('untagged: localhost/app:latest');
    await putImage(store, 'app', { layers: [Buffer.alloc(100_000, 'a')] });
    expect((await checkStore(store, false)).problems).toEqual([]);
  } finally {
    spawnSync('umount', [store.path]);
  }
});
