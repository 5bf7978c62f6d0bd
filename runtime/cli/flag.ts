/** What a shell completes a word to, where its choices are not the table's. */
export type Completed = 'containers' | 'signals' | 'files';

/** A flag of a command, or a global one. */
export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** What the value is called in help; a flag without it is a switch. */
  readonly value?: string;
  readonly about: string;
  /** The only values that are accepted. */
  readonly choices?: readonly string[];
  readonly default?: string;
  /** It may be given more than once. */
  readonly repeatable?: boolean;
  /** Accepted because engines send it, but not shown. */
  readonly hidden?: boolean;
  readonly completes?: Completed;
}
