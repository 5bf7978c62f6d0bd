import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleOf, cleanUp, newId, running, scow } from '../helpers/scow.ts';

afterEach(cleanUp);

/** A profile that allows everything but to read one file. */
const PROFILE = `profile scow-test flags=(attach_disconnected,mediate_deleted) {
  capability, file, network, mount, umount, pivot_root, ptrace, signal, unix,
  deny /etc/denied r,
}
`;

const parser = (flag: string) =>
  spawnSync('apparmor_parser', [flag, '--skip-cache'], { input: PROFILE, encoding: 'utf8' });

beforeAll(() => {
  expect(parser('--replace')).toMatchObject({ status: 0, stderr: '' });
});
afterAll(() => {
  parser('--remove');
});

function run(apparmorProfile: string, ...args: string[]) {
  const bundle = bundleOf((config) => {
    running(...args)(config);
    Object.assign(config.process ?? {}, { apparmorProfile });
  });
  writeFileSync(join(bundle, 'rootfs/etc/denied'), 'secret');
  return scow(['run', '--bundle', bundle, newId()], { engine: 'bun' });
}

test('a profile confines the program, and nothing before it', () => {
  const script = 'cat /proc/self/attr/current; cat /etc/denied';
  const { stdout, stderr } = run('scow-test', 'sh', '-c', script);
  expect(stdout).toBe('scow-test (enforce)\n');
  expect(stderr).toMatch(/\/etc\/denied.*Permission denied/);
});

test('unconfined is a profile too; one that is not loaded is an error that names it', () => {
  expect(run('unconfined', 'cat', '/proc/self/attr/current').stdout).toBe('unconfined\n');
  const { status, stderr } = run('no-such-profile', 'true');
  expect(status).toBe(1);
  expect(stderr).toMatch(/no-such-profile.*\[\/process\/apparmorProfile\]\n$/);
});
