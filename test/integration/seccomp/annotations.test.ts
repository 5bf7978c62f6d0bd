import type { Seccomp } from '../../../schemas/runtime-config.ts';
import { both, type Edit, linuxOf, output, run } from '../../helpers/container.ts';
import { cleanUp, ENGINES } from '../../helpers/scow.ts';
import { calling, compileCalls, confined, gaining, NR, removeCalls } from './calls.ts';

beforeAll(compileCalls);
afterAll(removeCalls);
afterEach(cleanUp);

const DENYING: Seccomp = {
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [{ names: ['getsid', 'no_such_call'], action: 'SCMP_ACT_ERRNO', errnoRet: 100 }],
};

function annotated(annotations: Record<string, string>): Edit {
  return (config) => {
    config.annotations = annotations;
  };
}

const inUserNamespace: Edit = (config) => {
  const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  linuxOf(config).namespaces?.push({ type: 'user' });
  linuxOf(config).uidMappings = [...map];
  linuxOf(config).gidMappings = [...map];
};

/** A program that answers errno 99 to getsid: load the number, compare, return. */
const INSTRUCTIONS: readonly (readonly [code: number, yes: number, no: number, k: number])[] = [
  [0x20, 0, 0, 0],
  [0x15, 0, 1, NR.getsid],
  [0x06, 0, 0, 0x00050000 | 99],
  [0x06, 0, 0, 0x7fff0000],
];
const BPF = Buffer.concat(
  INSTRUCTIONS.map(([code, yes, no, k]) => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt16LE(code);
    bytes.writeUInt8(yes, 2);
    bytes.writeUInt8(no, 3);
    bytes.writeUInt32LE(k, 4);
    return bytes;
  }),
).toString('base64');

describe.each(ENGINES)('a filter (%s)', (engine) => {
  test.each([true, false])('in a user namespace; privileges can be gained: %s', (gains) => {
    const all = both(calling(NR.getsid), confined(DENYING), gaining(gains), inUserNamespace);
    expect(output(engine, all)).toBe('-100\n');
  });

  test('of the annotations: its program, and that all of its names must be known', () => {
    const data = annotated({ 'run.oci.seccomp_bpf_data': BPF });
    expect(output(engine, both(calling(NR.getsid), data))).toBe('-99\n');
    expect(output(engine, both(calling(NR.getsid), confined(DENYING), data))).toBe('-99\n');
    const failing = (annotations: Record<string, string>) =>
      run(engine, both(calling(NR.getsid), confined(DENYING), annotated(annotations))).stderr;
    expect(failing({ 'run.oci.seccomp_bpf_data': `${BPF}A` })).toBe(
      'scow: run.oci.seccomp_bpf_data is no BPF program: give 1 to 4096 instructions of 8 bytes in base64  [/annotations/run.oci.seccomp_bpf_data]\n',
    );
    const unknown =
      'scow: libseccomp knows no system call no_such_call, and run.oci.seccomp_fail_unknown_syscall is set  [/linux/seccomp/syscalls]\n';
    const annotation = { 'run.oci.seccomp_fail_unknown_syscall': '1' };
    expect([failing(annotation), failing(annotation)]).toEqual([unknown, unknown]);
  });

  test('that the kernel does not take: what it was, and nothing runs', () => {
    const loop = Buffer.from([0x05, 0, 0, 0, 0xff, 0, 0, 0]).toString('base64');
    const edit = annotated({ 'run.oci.seccomp_bpf_data': loop });
    expect(run(engine, both(calling(NR.getsid), edit))).toMatchObject({
      status: 1,
      stdout: '',
      stderr:
        'scow: cannot load the seccomp filter (seccomp): invalid argument (EINVAL): the kernel takes no filters (CONFIG_SECCOMP_FILTER), or not this one with these flags  [/linux/seccomp]\n',
    });
  });
});
