import { linux, stepsOf } from '../../helpers/plans.ts';

describe('linux.mountLabel', () => {
  const label = 'system_u:object_r:container_file_t:s0:c1,c2';
  const mounts = ['tmpfs', 'devpts', 'proc', 'sysfs', 'mqueue', 'cgroup'].map((type) => ({
    destination: `/${type}`,
    type,
    source: type,
  }));
  const labelled = (annotations = {}) =>
    stepsOf({ ...linux({ mountLabel: label }), mounts, annotations }, '/linux/mountLabel');

  test('is an option of filesystems, and an attribute of message queues', () => {
    expect(labelled()).toEqual([
      `fsconfig(filesystem, 1, "context", "${label}", 0)`,
      `fsconfig(filesystem, 1, "context", "${label}", 0)`,
      'openat(mount 4, ".", O_DIRECTORY|O_CLOEXEC)',
      `fsetxattr(queues, "security.selinux", "${label}", ${label.length + 1}, 0)`,
    ]);
  });

  test('is of the type that crun’s annotation names', () => {
    const [first] = labelled({ 'run.oci.mount_context_type': 'rootcontext' });
    expect(first).toBe(`fsconfig(filesystem, 1, "rootcontext", "${label}", 0)`);
  });
});
