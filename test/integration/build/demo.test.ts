import { spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';

const run = (command: string, ...args: string[]) =>
  spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

test('the demo prints its commands and a page from inside of the container, time after time', () => {
  for (let time = 0; time < 2; time++) {
    const { status, stdout, stderr } = run(process.execPath, 'scripts/demo.mjs');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.match(/^\$ build\/.*$/gm)).toEqual([
      '$ build/scow-bundle unpack --image build/demo/layout:demo build/demo/bundle',
      '$ build/scow run --bundle build/demo/bundle scow-demo',
    ]);
    expect(stdout).toContain('This is /hello, a program');
    expect(stdout).toMatch(/^ {2}pid {8}1$/m);
    const seen = Object.fromEntries(
      [...stdout.matchAll(/(\w+):\[\d+\]/g)].map(([link, name]) => [name, link]),
    );
    for (const name of ['ipc', 'mnt', 'net', 'pid', 'uts', 'cgroup'])
      expect(seen[name]).not.toBe(readlinkSync(`/proc/self/ns/${name}`));
    expect(seen.user).toBe(readlinkSync('/proc/self/ns/user'));
  }
  expect(run('build/scow', 'state', 'scow-demo').status).toBe(1);
});

test("the demo's image is one that others read", () => {
  const { status, stdout } = run('skopeo', 'inspect', '--config', 'oci:build/demo/layout:demo');
  expect(status).toBe(0);
  expect(JSON.parse(stdout).config.Entrypoint).toEqual(['/hello']);
});
