import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleOf, cleanUp, ENGINES, newId, running, scow } from '../../helpers/scow.ts';

afterEach(cleanUp);

/** As programs in Go write what is not there. */
function withNulls(config: Record<string, unknown>): object {
  const linux = config.linux as { namespaces: object[] };
  return {
    ...config,
    hooks: null,
    annotations: null,
    process: { ...(config.process as object), rlimits: null, scheduler: null },
    linux: {
      ...linux,
      namespaces: linux.namespaces.map((namespace) => ({ ...namespace, path: '' })),
      timeOffsets: null,
      seccomp: null,
      resources: { devices: null, memory: null, pids: { limit: null } },
    },
  };
}

test.each(ENGINES)('null and an empty path of a namespace say nothing (%s)', (engine) => {
  const bundle = bundleOf(running('sleep', '1000'));
  const file = join(bundle, 'config.json');
  writeFileSync(file, JSON.stringify(withNulls(JSON.parse(readFileSync(file, 'utf8')))));
  const id = newId();
  const run = (...args: string[]) => scow(args, { engine });
  expect(run('run', '--detach', '--bundle', bundle, id)).toMatchObject({ status: 0, stderr: '' });
  const { stdout } = run('exec', id, 'sh', '-c', 'readlink /proc/self/ns/uts; hostname');
  expect(stdout).toMatch(/^uts:\[\d+\]\nscow\n$/);
  expect(stdout).not.toContain(readFileSync('/proc/sys/kernel/hostname', 'utf8'));
  expect(run('delete', '--force', id)).toMatchObject({ status: 0, stderr: '' });
});
