/** What went wrong between us and a registry, in one line. */
export class RegistryError extends Error {
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** Whether another attempt may succeed. */
  readonly transient: boolean;
  /** Milliseconds that the registry asks us to wait before another attempt. */
  readonly wait: number | undefined;

  constructor(
    message: string,
    options: {
      readonly status?: number;
      readonly transient?: boolean;
      readonly wait?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.status = options.status;
    this.transient = options.transient ?? false;
    this.wait = options.wait;
  }
}

/** Whether this is a registry's answer with one of these statuses. */
export function hasStatus(error: unknown, ...statuses: readonly number[]): error is RegistryError {
  return error instanceof RegistryError && statuses.includes(error.status ?? 0);
}
