/**
 * Flags of the kernel's interface, grouped by the man page that describes them.
 * Names are the kernel's; values hold for every architecture unless said otherwise.
 */

/** open(2), openat2(2) */
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  TMPFILE: 0o20200000,
} as const;

/** openat2(2), `resolve` */
export const RESOLVE = {
  NO_XDEV: 1,
  NO_MAGICLINKS: 2,
  NO_SYMLINKS: 4,
  BENEATH: 8,
  IN_ROOT: 16,
} as const;

/** The `*at` calls */
export const AT = {
  FDCWD: -100,
  SYMLINK_NOFOLLOW: 0x100,
  REMOVEDIR: 0x200,
  EACCESS: 0x200,
  NO_AUTOMOUNT: 0x800,
  EMPTY_PATH: 0x1000,
  RECURSIVE: 0x8000,
} as const;

/** inode(7): file types in st_mode */
export const S = {
  IFMT: 0o170000,
  IFSOCK: 0o140000,
  IFLNK: 0o120000,
  IFREG: 0o100000,
  IFBLK: 0o060000,
  IFDIR: 0o040000,
  IFCHR: 0o020000,
  IFIFO: 0o010000,
} as const;

/** signal(7), for whoever makes system calls; of people's names takes care `os.constants` */
export const SIG = { KILL: 9, CHLD: 17 } as const;

/** statx(2), `mask` */
export const STATX_BASIC_STATS = 0x7ff;

/** statx(2), where `struct statx` has its fields */
export const STATX = {
  links: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  inode: 32,
  size: 40,
  accessed: 64,
  changed: 96,
  modified: 112,
  rdevMajor: 128,
  rdevMinor: 132,
  devMajor: 136,
  devMinor: 140,
} as const;
export const STATX_SIZE = 256;

/** seccomp(2), `operation` */
export const SECCOMP = { SET_MODE_FILTER: 1 } as const;

/** seccomp(2), `flags` */
export const SECCOMP_FILTER_FLAG = {
  TSYNC: 1,
  LOG: 2,
  SPEC_ALLOW: 4,
  NEW_LISTENER: 8,
  TSYNC_ESRCH: 16,
  WAIT_KILLABLE_RECV: 32,
} as const;

/** clone(2), unshare(2), setns(2) */
export const CLONE = {
  VM: 0x100,
  FS: 0x200,
  PIDFD: 0x1000,
  FILES: 0x400,
  SIGHAND: 0x800,
  VFORK: 0x4000,
  PARENT: 0x8000,
  THREAD: 0x10000,
  SYSVSEM: 0x40000,
  CHILD_CLEARTID: 0x200000,
  PARENT_SETTID: 0x100000,
  NEWTIME: 0x80,
  NEWNS: 0x20000,
  NEWCGROUP: 0x2000000,
  NEWUTS: 0x4000000,
  NEWIPC: 0x8000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
  CLEAR_SIGHAND: 0x100000000,
  INTO_CGROUP: 0x200000000,
} as const;

/** mount(2) */
export const MS = {
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
} as const;

/** umount2(2) */
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

/** mount_setattr(2) */
export const MOUNT_ATTR = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  ATIME: 0x70,
  RELATIME: 0,
  NOATIME: 0x10,
  STRICTATIME: 0x20,
  NODIRATIME: 0x80,
  IDMAP: 0x100000,
  NOSYMFOLLOW: 0x200000,
} as const;

/** The new mount API: open_tree, move_mount, fsopen, fsconfig, fsmount (linux/mount.h) */
export const OPEN_TREE_CLONE = 1;
export const OPEN_TREE_CLOEXEC = O.CLOEXEC;
export const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
export const FSOPEN_CLOEXEC = 1;
export const FSMOUNT_CLOEXEC = 1;
export const FSCONFIG = {
  SET_FLAG: 0,
  SET_STRING: 1,
  CMD_CREATE: 6,
  CMD_RECONFIGURE: 7,
} as const;

/** fcntl(2) */
export const F = {
  SETFD: 2,
  GETFL: 3,
  SETFL: 4,
  DUPFD_CLOEXEC: 1030,
  ADD_SEALS: 1033,
} as const;
export const F_SEAL = { SEAL: 1, SHRINK: 2, GROW: 4, WRITE: 8 } as const;

/** memfd_create(2) */
export const MFD = { CLOEXEC: 1, ALLOW_SEALING: 2, NOEXEC_SEAL: 8, EXEC: 0x10 } as const;

/** wait(2), waitid(2) */
export const W = { NOHANG: 1, EXITED: 4, NOWAIT: 0x1000000 } as const;
export const P_PIDFD = 3;

/** prctl(2) */
export const PR = {
  SET_PDEATHSIG: 1,
  SET_DUMPABLE: 4,
  SET_KEEPCAPS: 8,
  SET_NAME: 15,
  CAPBSET_DROP: 24,
  SET_CHILD_SUBREAPER: 36,
  SET_NO_NEW_PRIVS: 38,
  CAP_AMBIENT: 47,
} as const;
export const PR_CAP_AMBIENT = { RAISE: 2, CLEAR_ALL: 4 } as const;

/** socket(2), send(2), unix(7) */
export const AF_UNIX = 1;
export const SOCK = {
  STREAM: 1,
  DGRAM: 2,
  SEQPACKET: 5,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
} as const;
export const SOL_SOCKET = 1;
export const SCM_RIGHTS = 1;
export const MSG = {
  CTRUNC: 0x8,
  TRUNC: 0x20,
  NOSIGNAL: 0x4000,
  CMSG_CLOEXEC: 0x40000000,
} as const;

/** poll(2) */
export const POLL = { IN: 1, PRI: 2, OUT: 4, ERR: 8, HUP: 16 } as const;

/** statfs(2): f_type */
export const MAGIC = {
  PROC_SUPER: 0x9fa0,
  DEVPTS_SUPER: 0x1cd1,
  SYSFS: 0x62656572,
  CGROUP2_SUPER: 0x63677270,
  SELINUX: 0xf97cff8c,
  RDTGROUP_SUPER: 0x7655821,
  OVERLAYFS_SUPER: 0x794c7630,
} as const;

/** ioctl_tty(2) (asm-generic; the same on x86-64 and arm64) */
export const TIO = {
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  SCTTY: 0x540e,
  GPGRP: 0x540f,
  GWINSZ: 0x5413,
  SWINSZ: 0x5414,
  INQ: 0x541b,
  GPTN: 0x80045430,
  SPTLCK: 0x40045431,
  GPTPEER: 0x5441,
} as const;

/** ioctl_ns(2) */
export const NS_GET_PARENT = 0xb702;

/** flock(2) */
export const LOCK = { SH: 1, EX: 2, NB: 4 } as const;

/** termios(3): c_iflag, c_oflag, c_cflag and c_lflag (asm-generic/termbits.h) */
export const IFLAG = {
  IGNBRK: 0x1,
  BRKINT: 0x2,
  PARMRK: 0x8,
  ISTRIP: 0x20,
  INLCR: 0x40,
  IGNCR: 0x80,
  ICRNL: 0x100,
  IXON: 0x400,
} as const;
export const OFLAG = { OPOST: 0x1, ONLCR: 0x4 } as const;
export const CFLAG = { CSIZE: 0x30, CS8: 0x30, PARENB: 0x100 } as const;
export const LFLAG = { ISIG: 0x1, ICANON: 0x2, ECHO: 0x8, ECHONL: 0x40, IEXTEN: 0x8000 } as const;

/** close_range(2) */
export const CLOSE_RANGE_CLOEXEC = 4;

/** personality(2): execution domains */
export const PER = { LINUX: 0, LINUX32: 8 } as const;

/** set_mempolicy(2): modes, and the flags that go with them (linux/mempolicy.h) */
export const MPOL = {
  DEFAULT: 0,
  PREFERRED: 1,
  BIND: 2,
  INTERLEAVE: 3,
  LOCAL: 4,
  PREFERRED_MANY: 5,
  WEIGHTED_INTERLEAVE: 6,
} as const;
export const MPOL_F = {
  NUMA_BALANCING: 1 << 13,
  RELATIVE_NODES: 1 << 14,
  STATIC_NODES: 1 << 15,
} as const;

/** sched(7), sched_setattr(2) */
export const SCHED = {
  OTHER: 0,
  FIFO: 1,
  RR: 2,
  BATCH: 3,
  ISO: 4,
  IDLE: 5,
  DEADLINE: 6,
} as const;
export const SCHED_FLAG = {
  RESET_ON_FORK: 0x01,
  RECLAIM: 0x02,
  DL_OVERRUN: 0x04,
  KEEP_POLICY: 0x08,
  KEEP_PARAMS: 0x10,
  UTIL_CLAMP_MIN: 0x20,
  UTIL_CLAMP_MAX: 0x40,
} as const;

/** ioprio_set(2) */
export const IOPRIO_WHO_PROCESS = 1;
export const IOPRIO_CLASS = { RT: 1, BE: 2, IDLE: 3 } as const;
export const IOPRIO_CLASS_SHIFT = 13;

/** netlink(7), rtnetlink(7) */
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const NETLINK_ROUTE = 0;
export const NLM_F = { REQUEST: 0x1, ACK: 0x4, DUMP: 0x300, EXCL: 0x200, CREATE: 0x400 } as const;
export const NLMSG = { ERROR: 2, DONE: 3 } as const;
export const RTM = { NEWLINK: 16, GETLINK: 18, NEWADDR: 20, GETADDR: 22 } as const;
export const IFLA = { IFNAME: 3, NET_NS_PID: 19 } as const;
export const IFA = { ADDRESS: 1, LOCAL: 2, BROADCAST: 4, FLAGS: 8 } as const;
export const IFA_F = { NODAD: 0x2, PERMANENT: 0x80, NOPREFIXROUTE: 0x200 } as const;
export const RT_SCOPE_UNIVERSE = 0;
export const IFF_UP = 1;
