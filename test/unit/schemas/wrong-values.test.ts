import { readFileSync } from 'node:fs';
import { validateRuntimeConfig } from '../../../schemas/validate.ts';
import { fullConfig } from '../../helpers/full-config.ts';
import { withValue } from '../../helpers/json-edit.ts';

/** Values that a property of config.json cannot have: one of the full configuration's is replaced. */

const CAPABILITY_NAMES = JSON.parse(readFileSync('schemas/runtime/process.schema.json', 'utf8'))
  .definitions.capabilities.items.enum;

test('the capabilities are those of the kernel headers', () => {
  const header = readFileSync('/usr/include/linux/capability.h', 'utf8');
  const names = [...header.matchAll(/^#define (CAP_[A-Z_]+)\s+\d+$/gm)].map(([, name]) => name);
  expect([...CAPABILITY_NAMES].sort()).toEqual(names.sort());
});

const UINT32 = 'an integer from 0 to 4294967295';
const ID = 'an integer from 0 to 4294967294';
const UINT64 = 'an integer from 0 to 18446744073709551615';
const INT64 = 'an integer from -9223372036854775808 to 9223372036854775807';
const ABSOLUTE = 'an absolute path';
const BOOLEAN = 'true or false';
const LIST = 'a list of numbers and ranges such as "0-3,7"';
const INTERFACE =
  'the name of a network interface: 1 to 15 characters, none of them "/", ":" or a space';

test.each<[pointer: string, value: unknown, found: string, allowed: string, at?: string]>([
  ['', null, 'null', 'an object'],
  ['', [], 'an empty array', 'an object'],
  ['', 'x', '"x"', 'an object'],
  ['/ociVersion', undefined, 'missing', 'a version 1.x.y (SemVer), such as "1.3.0"'],
  ['/ociVersion', 1, '1', 'a version 1.x.y (SemVer), such as "1.3.0"'],
  ['/root', undefined, 'missing', 'an object'],
  ['/root', 'rootfs', '"rootfs"', 'an object'],
  ['/root/path', '', '""', 'a path, absolute or relative to the bundle'],
  ['/root/path', undefined, 'missing', 'a path, absolute or relative to the bundle'],
  ['/root/readonly', 'yes', '"yes"', BOOLEAN],
  ['/hostname', 'h'.repeat(65), `"${'h'.repeat(65)}"`, 'a string of at most 64 characters'],
  ['/process', [], 'an empty array', 'an object'],
  ['/process/terminal', null, 'null', BOOLEAN],
  ['/process/user', undefined, 'missing', 'an object with uid and gid'],
  ['/process/user/uid', 'root', '"root"', ID],
  ['/process/user/uid', -1, '-1', ID],
  ['/process/user/uid', 4294967295, '4294967295', ID],
  ['/process/user/uid', 1.5, '1.5', ID],
  ['/process/user/gid', undefined, 'missing', ID],
  [
    '/process/user/umask',
    512,
    '512',
    'an integer from 0 to 511 (0777; the file has it in decimal)',
  ],
  ['/process/user/additionalGids/1', null, 'null', ID],
  ['/process/consoleSize/width', 65536, '65536', 'an integer from 0 to 65535'],
  [
    '/process/args',
    [],
    'an empty array',
    'an array of strings with at least one entry, the program',
  ],
  [
    '/process/args',
    undefined,
    'missing',
    'an array of strings with at least one entry, the program',
  ],
  ['/process/args', 'sh', '"sh"', 'an array of strings with at least one entry, the program'],
  ['/process/args/1', 1, '1', 'a string'],
  ['/process/env/0', 'PATH', '"PATH"', 'a string NAME=value'],
  ['/process/env/0', '=x', '"=x"', 'a string NAME=value'],
  ['/process/cwd', 'home', '"home"', ABSOLUTE],
  ['/process/cwd', undefined, 'missing', ABSOLUTE],
  ['/process/rlimits/0/type', 'NOFILE', '"NOFILE"', '"RLIMIT_NOFILE", or another of 16 names'],
  [
    '/process/rlimits/0/type',
    'RLIMIT_NOFILES',
    '"RLIMIT_NOFILES"',
    '"RLIMIT_NOFILE", or another of 16 names',
  ],
  ['/process/rlimits/0/hard', undefined, 'missing', UINT64],
  ['/process/rlimits/0/hard', 18446744073709551616n, '18446744073709551616', UINT64],
  ['/process/rlimits/0/soft', -1, '-1', UINT64],
  ['/process/rlimits/0/soft', -9007199254740993n, '-9007199254740993', UINT64],
  ['/process/rlimits/0/soft', '1024', '"1024"', UINT64],
  ['/process/rlimits/0/soft', 1.5, '1.5', UINT64],
  [
    '/process/capabilities/bounding/0',
    'CAP_NET_ADMN',
    '"CAP_NET_ADMN"',
    '"CAP_NET_ADMIN", or another of 41 names',
  ],
  [
    '/process/capabilities/ambient/0',
    'sys_admin',
    '"sys_admin"',
    '"CAP_SYS_ADMIN", or another of 41 names',
  ],
  [
    '/process/capabilities/effective/0',
    'root',
    '"root"',
    `one of ${CAPABILITY_NAMES.map((name: string) => `"${name}"`).join(', ')}`,
  ],
  ['/process/capabilities/permitted', 'CAP_CHOWN', '"CAP_CHOWN"', 'an array of capability names'],
  ['/process/oomScoreAdj', 1001, '1001', 'an integer from -1000 to 1000'],
  [
    '/process/ioPriority/class',
    'RT',
    '"RT"',
    'one of "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"',
  ],
  ['/process/ioPriority/priority', 8, '8', 'an integer from 0 to 7'],
  ['/process/ioPriority/priority', undefined, 'missing', 'an integer from 0 to 7'],
  ['/process/scheduler/nice', 20, '20', 'an integer from -20 to 19'],
  [
    '/process/scheduler/policy',
    'FIFO',
    '"FIFO"',
    'one of "SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"',
  ],
  [
    '/process/scheduler/policy',
    undefined,
    'missing',
    'one of "SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"',
  ],
  [
    '/process/scheduler/flags/0',
    'RESET_ON_FORK',
    '"RESET_ON_FORK"',
    'one of "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX"',
  ],
  ['/process/scheduler/priority', 100, '100', 'an integer from 0 to 99'],
  ['/process/scheduler/runtime', -1, '-1', UINT64],
  ['/process/consoleSize/height', -1, '-1', 'an integer from 0 to 65535'],
  ['/process/execCPUAffinity/final', '0-', '"0-"', LIST],
  ['/domainname', 'd'.repeat(65), `"${'d'.repeat(65)}"`, 'a string of at most 64 characters'],
  ['/process/execCPUAffinity/initial', '1,a', '"1,a"', LIST],
  ['/mounts', {}, 'an object', 'an array'],
  ['/mounts/0/destination', undefined, 'missing', 'a path in the container'],
  ['/mounts/0/options', 'ro', '"ro"', 'an array of strings'],
  [
    '/mounts/1/gidMappings',
    undefined,
    'missing',
    'an array of ID mappings, required beside "uidMappings"',
  ],
  ['/mounts/1/uidMappings/0/size', 0, '0', 'an integer from 1 to 4294967295'],
  ['/hooks/poststop/0/path', 'hook', '"hook"', ABSOLUTE],
  ['/hooks/createRuntime/0/timeout', 0, '0', 'a whole number of seconds, at least 1'],
  ['/hooks/prestart', {}, 'an object', 'an array of hooks'],
  ['/annotations/a', 1, '1', 'a string'],
  ['/annotations/', 'x', 'the name ""', 'a string that is not empty'],
  ['/annotations', [], 'an empty array', 'an object whose values are strings'],
  [
    '/linux/namespaces/0/type',
    'net',
    '"net"',
    'one of "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"',
  ],
  ['/linux/namespaces/1/path', 'netns', '"netns"', ABSOLUTE],
  ['/linux/uidMappings/0/hostID', 2 ** 32, '4294967296', ID],
  ['/linux/gidMappings/0/size', undefined, 'missing', 'an integer from 1 to 4294967295'],
  ['/linux/timeOffsets/boottime/secs', 2n ** 63n, '9223372036854775808', INT64],
  ['/linux/timeOffsets/boottime/nanosecs', 1e9, '1000000000', 'an integer from 0 to 999999999'],
  ['/linux/devices/0/type', 'char', '"char"', 'one of "c", "b", "u", "p"'],
  ['/linux/devices/0/major', undefined, 'missing', 'an integer, required unless the type is "p"'],
  ['/linux/devices/0/minor', 1048576, '1048576', 'an integer from 0 to 1048575'],
  ['/linux/devices/0/path', 'dev/fuse', '"dev/fuse"', ABSOLUTE],
  ['/linux/devices/0/fileMode', '0666', '"0666"', UINT32],
  ['/linux/netDevices/a~1b', {}, 'the name "a/b"', INTERFACE],
  ['/linux/netDevices/eth1/name', 'x'.repeat(16), `"${'x'.repeat(16)}"`, INTERFACE],
  ['/linux/cgroupsPath', 1, '1', 'a string'],
  [
    '/linux/rootfsPropagation',
    'none',
    '"none"',
    'one of "private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"',
  ],
  ['/linux/maskedPaths/0', 'proc', '"proc"', ABSOLUTE],
  ['/linux/sysctl/net.core.somaxconn', 256, '256', 'a string'],
  ['/linux/personality/domain', undefined, 'missing', 'one of "LINUX", "LINUX32"'],
  [
    '/linux/personality/flags',
    ['X'],
    'an array',
    'an empty array: the specification defines no flags yet',
  ],
  [
    '/linux/intelRdt/closID',
    'a/b',
    '"a/b"',
    'the name of a directory, or "/" for the default class',
  ],
  ['/linux/intelRdt/closID', '..', '".."', 'the name of a directory, or "/" for the default class'],
  [
    '/linux/intelRdt/memBwSchema',
    'MB:0\nL3:0',
    '"MB:0\\nL3:0"',
    'a string that starts with "MB:" and has no newlines',
  ],
  ['/linux/memoryPolicy/nodes', '1-', '"1-"', LIST],
  [
    '/linux/memoryPolicy/mode',
    undefined,
    'missing',
    'one of "MPOL_DEFAULT", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE", "MPOL_PREFERRED", "MPOL_PREFERRED_MANY", "MPOL_LOCAL"',
  ],
  [
    '/linux/memoryPolicy/flags/0',
    'MPOL_F_OTHER',
    '"MPOL_F_OTHER"',
    'one of "MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"',
  ],
  ['/linux/personality/domain', 'LINUX64', '"LINUX64"', 'one of "LINUX", "LINUX32"'],
  [
    '/linux/intelRdt/schemata/0',
    'L3:0=f\nMB:0=1',
    '"L3:0=f\\nMB:0=1"',
    'a string without newlines',
  ],
  ['/linux/intelRdt/l3CacheSchema', 'L3:0=f\n', '"L3:0=f\\n"', 'a string without newlines'],
  ['/linux/devices/0/uid', -1, '-1', ID],
  ['/linux/netDevices/eth1/name', 'a b', '"a b"', INTERFACE],
  ['/linux/timeOffsets/monotonic/secs', '1', '"1"', INT64],
  [
    '/linux/seccomp/defaultAction',
    undefined,
    'missing',
    'one of "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY"',
  ],
  [
    '/linux/seccomp/architectures/0',
    'x86_64',
    '"x86_64"',
    '"SCMP_ARCH_X86_64", or another of 23 names',
  ],
  [
    '/linux/seccomp/listenerPath',
    undefined,
    'missing',
    'a string, required beside "listenerMetadata"',
  ],
  [
    '/linux/seccomp/syscalls/0/names',
    [],
    'an empty array',
    'an array with the name of at least one system call',
  ],
  ['/linux/seccomp/syscalls/1/args/0/index', 6, '6', 'an integer from 0 to 5'],
  ['/linux/seccomp/syscalls/1/args/0/value', -1, '-1', UINT64],
  ['/linux/resources/devices/0/allow', undefined, 'missing', BOOLEAN],
  ['/linux/resources/devices/1/type', 'p', '"p"', 'one of "a", "c", "b"'],
  ['/linux/resources/devices/0/access', 'rwx', '"rwx"', 'a string of the letters r, w and m'],
  ['/linux/resources/devices/1/major', -2, '-2', 'an integer from 0 to 4294967295, or -1 for all'],
  ['/linux/resources/memory/limit', '512M', '"512M"', INT64],
  ['/linux/resources/memory/swappiness', 101, '101', 'an integer from 0 to 100'],
  ['/linux/resources/cpu/shares', -1, '-1', UINT64],
  ['/linux/resources/cpu/cpus', '0..3', '"0..3"', LIST],
  ['/linux/resources/blockIO/weight', 65536, '65536', 'an integer from 0 to 65535'],
  ['/linux/resources/blockIO/throttleReadIOPSDevice/0/rate', undefined, 'missing', UINT64],
  [
    '/linux/resources/hugepageLimits/0/pageSize',
    '2M',
    '"2M"',
    'a size such as "64KB", "2MB" or "1GB"',
  ],
  [
    '/linux/resources/unified/..~1x',
    '1',
    'the name "../x"',
    'the name of a cgroup v2 file, such as "memory.high"',
  ],
])('%s = %p', (pointer, value, found, allowed) => {
  const config = withValue(fullConfig(), pointer, value);
  expect(validateRuntimeConfig(config)).toEqual([{ pointer, found, allowed }]);
});
