import { type ContainerState, type ContainerStatus, statusOf } from '../container/state.ts';
import type { ContainerStore } from '../container/store.ts';

/** What `state` and `list` tell of a container; the names and their order are runc's. */
export interface Report {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: ContainerStatus;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly annotations?: ContainerState['annotations'];
  readonly owner: string;
}

/**
 * Reads a container's state and finds its status.
 *
 * @param owner turns the user ID of the container's owner into what is reported
 * @throws Error when there is no such container or its state cannot be read
 */
export function reportOn(
  store: ContainerStore,
  id: string,
  owner: (uid: number) => string,
): Report {
  const state = store.read(id);
  const status = statusOf(state, store.directory(id));
  return {
    ociVersion: state.ociVersion,
    id: state.id,
    pid: status === 'stopped' ? 0 : state.pid,
    status,
    bundle: state.bundle,
    rootfs: state.rootfs,
    created: state.created,
    ...(Object.keys(state.annotations).length === 0 ? {} : { annotations: state.annotations }),
    owner: owner(state.owner),
  };
}
