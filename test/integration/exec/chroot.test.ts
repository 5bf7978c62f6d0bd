import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { bundleOf, cleanUp, newId, running, scowWords, testDirectory } from '../../helpers/scow.ts';

afterEach(cleanUp);

/** Calls scow in a chroot into a copy of the machine's own root, where `outside` is not to be seen. */
const SCRIPT = `
  new=$1 outside=$2; shift 2
  mount --rbind / "$new" && mount -t tmpfs hidden "$new$outside" || exit
  chroot "$new" "$@" run --detach --bundle "$bundle" "$id" </dev/null >/dev/null 2>&1
  chroot "$new" "$@" exec "$id" sh -c 'ls /; ls /proc/1/root'
  chroot "$new" "$@" delete --force "$id"`;

test('a container that was made in a chroot is entered at its own root, not the machine’s', () => {
  const bundle = bundleOf(running('sleep', '1000'));
  const [place, outside] = ['root', 'outside'].map((name) => join(testDirectory(), name));
  for (const path of [place, outside]) mkdirSync(path as string);
  const { stdout, stderr } = spawnSync(
    'unshare',
    [
      ...['--mount', '--propagation', 'private', 'sh', '-c', SCRIPT, 'sh'],
      ...[place as string, outside as string, ...scowWords('bun')],
    ],
    { encoding: 'utf8', env: { ...process.env, bundle, id: newId() } },
  );
  expect(stderr).toBe('');
  const image = ['bin', 'dev', 'etc', 'proc', 'root', 'sys', 'tmp'];
  expect(stdout.trim().split('\n')).toEqual([...image, ...image]);
});
