/**
 * What init and scow say to each other over their SOCK_SEQPACKET pair. Init sends one kind of
 * packet; scow answers with bytes whose meaning the step that waits for them knows.
 */
export const MESSAGE = {
  /** Offset of the kind, u32: `report` or `failure`. */
  kind: 0,
  /** Offset of the step's number, u32. In a failure, the progress page has it. */
  step: 4,
  /** Offset of the value, i64: a report's number, or a failure's errno. */
  value: 8,
  size: 16,
  report: 1,
  failure: 2,
} as const;

/** The page that init shares with scow: it says where init is even when init can't. */
export const PROGRESS = {
  /** Offset of the number of the step under way, u32; 0 before the first. */
  step: 0,
  /** Offset of the errno that ended init, u32. */
  errno: 4,
  /** Offset of the PID of the process that a fork made, u64. */
  pid: 8,
  /** Offset of the number of the step that told a value, u32; 0 before. */
  told: 16,
  /** Offset of that value, i64. */
  value: 24,
  size: 4096,
} as const;
