import type { RuntimeConfig } from '../../../schemas/runtime-config.ts';
import { connectUnix, sendMessage } from '../../linux/socket.ts';
import { syscall } from '../../linux/syscall.ts';
import { type ContainerState, type ContainerStatus, SPEC_VERSION } from '../state.ts';
import { whyUnreachable } from '../terminal/console-socket.ts';

/** crun's: the program itself, in base64, instead of a profile. */
export const BPF_DATA = 'run.oci.seccomp_bpf_data';
/** crun's, from before the specification had `listenerPath`. */
export const RECEIVER = 'run.oci.seccomp.receiver';
/** The name that config-linux.md gives the descriptor. */
const SECCOMP_FD = 'seccompFd';

/** Whether a container has a seccomp filter. */
export function hasFilter({ linux, annotations }: RuntimeConfig): boolean {
  return linux?.seccomp !== undefined || annotations?.[BPF_DATA] !== undefined;
}

/** The path of the socket on which the seccomp agent listens. */
export function receiverOf({ linux, annotations }: RuntimeConfig): string | undefined {
  return linux?.seccomp?.listenerPath || annotations?.[RECEIVER];
}

/** A process whose system calls an agent is to answer. */
export interface Notified {
  readonly config: RuntimeConfig;
  /** The state of its container. */
  readonly state: ContainerState;
  readonly status: ContainerStatus;
  /** Its PID, which is not the container's for an additional process. */
  readonly pid: number;
}

/**
 * Hands a filter's listener to the seccomp agent, with the container process state
 * (config-linux.md): one message on a connection of its own.
 *
 * @param listener stays open here; the caller closes it
 * @throws Error in one line when the agent is not there
 */
export function sendListener(listener: number, { config, state, status, pid }: Notified): void {
  const path = receiverOf(config) ?? '';
  const { id, bundle, annotations } = state;
  const metadata = config.linux?.seccomp?.listenerMetadata;
  const message = {
    ociVersion: SPEC_VERSION,
    fds: [SECCOMP_FD],
    pid,
    ...(metadata === undefined ? {} : { metadata }),
    state: { ociVersion: SPEC_VERSION, id, status, pid: state.pid, bundle, annotations },
  };
  try {
    const socket = connectUnix(path);
    try {
      sendMessage(socket, Buffer.from(JSON.stringify(message)), [listener]);
    } finally {
      syscall('close', socket);
    }
  } catch (cause) {
    throw new Error(
      `failed to connect with seccomp agent at ${path}: ${whyUnreachable(path, cause)}  [/linux/seccomp/listenerPath]`,
      { cause },
    );
  }
}
