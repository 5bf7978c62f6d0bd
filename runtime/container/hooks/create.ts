import type { Hook } from '../../../schemas/runtime-config.ts';
import { debug } from '../log.ts';
import type { ContainerState } from '../state.ts';
import { pidInContainer, runHooks, runPoststopHooks, stateForHooks } from './run.ts';
import { HookStreams } from './streams.ts';
import { describeEnd, type Wait, waitForHook } from './wait.ts';

/** The hooks of a container that is being created. */
export class CreateHooks {
  readonly #state: ContainerState;
  /** Those of the hooks that init runs. */
  readonly #streams: HookStreams;
  #pid = 0;
  #madeEnvironment = false;
  #wait: Wait = 'ended';

  /** @throws Error in one line for files of annotations that cannot be opened */
  constructor(state: ContainerState) {
    this.#state = state;
    this.#streams = new HookStreams(state);
  }

  /** What init inherits for the hooks that it runs itself. */
  get descriptors(): Readonly<Record<string, number>> {
    return this.#streams.descriptors;
  }

  /** The container has all that `create` makes for it: from now on the poststop hooks are due. */
  environmentMade(): void {
    this.#madeEnvironment = true;
  }

  /**
   * Runs the hooks of the runtime's namespaces.
   *
   * @param init the container's init, which waits
   * @throws Error in one line
   */
  beforePivot(init: { readonly pid: number; readonly pidfd: number }): void {
    this.environmentMade();
    this.#pid = init.pid;
    for (const name of ['prestart', 'createRuntime'] as const)
      runHooks(name, this.#state, { status: 'creating', pid: init.pid, init: init.pidfd });
    this.#prepare();
  }

  /** Waits for a hook that init has started. @param pointer its JSON pointer */
  await(pointer: string, pidfd: number): void {
    const hook = this.#hook(pointer);
    debug(`container ${this.#state.id}: createContainer hook ${hook.path}`);
    this.#wait = waitForHook(pidfd, hook);
  }

  /**
   * Takes note of how a hook of init's has ended.
   *
   * @param status as wait(2) has it
   * @throws Error in one line when it failed
   */
  ended(pointer: string, status: number): void {
    const words = this.#streams.lastWords();
    const message = describeEnd(this.#hook(pointer), pointer, { wait: this.#wait, status, words });
    if (message !== undefined) throw new Error(message);
    this.#prepare();
  }

  /** Ends the lifecycle of a container that could not be created (runtime.md, Lifecycle). */
  undo(): void {
    if (this.#madeEnvironment) runPoststopHooks(this.#state);
  }

  close(): void {
    this.#streams.close();
  }

  #prepare(): void {
    const pid = pidInContainer(this.#pid);
    this.#streams.begin(stateForHooks(this.#state, { status: 'creating', pid }));
  }

  #hook(pointer: string): Hook {
    const index = Number(pointer.split('/').at(-1));
    return this.#state.hooks?.createContainer?.[index] as Hook;
  }
}
