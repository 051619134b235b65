/** The type of a command. The table of commands is in commands.ts. */
import type { Readable, Writable } from "node:stream";
import type { Api } from "./api.ts";
import type { Content } from "./content.ts";
import type { Output } from "./output.ts";
import type { Progress } from "./progress.ts";

/** Exit codes. `refused` is also the answer "no" of `explain`. */
export const exitCodes = { done: 0, refused: 1, usage: 2 } as const;

/**
 * A flag. With `value`, the word that stands for it in the help, it takes one; with `takesRest`, it takes all that
 * follows, as it is.
 */
export type Flag = {
  name: string;
  value?: string;
  isRepeatable?: boolean;
  takesRest?: boolean;
  summary: string;
};

/** A command: its words, its arguments, its flags, and its function. */
export type Command = {
  /** Two words, or one. */
  name: string;
  /** The names of its arguments. */
  arguments: string[];
  /** Whether the last argument may be left out. */
  isLastOptional?: boolean;
  /** Whether all arguments may be left out. */
  areAllOptional?: boolean;
  /** Whether the last argument may be followed by more of its kind. */
  takesSeveral?: boolean;
  flags: Flag[];
  /** Whether it asks no registry, or its arguments name one instead of `--url`; it then has its own credentials. */
  isOfAnyRegistry?: boolean;
  /** Whether it reads all that follows its name by itself; `flags` then only says what there is. */
  readsItself?: boolean;
  summary: string;
  /** More for `--help`. */
  details?: string;
  /** Resolves with one of {@link exitCodes}, or with the exit code of another program. */
  run(call: Invocation): Promise<number>;
};

/** One of {@link exitCodes}. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A command as it was called. */
export type Invocation = {
  /** As many as the command has arguments; one less if the last was left out; or more, if it takes several. */
  args: string[];
  flags: FlagValues;
  api: Api;
  /** Pushes and pulls content. */
  content: Content;
  output: Output;
  progress: Progress;
  environment: Record<string, string | undefined>;
  stdin: Readable;
  stderr: Writable;
  /** The time, in milliseconds since 1970. */
  now: () => number;
  /** Reads a secret: the text on stdin, without the line's end. */
  readSecret: () => Promise<string>;
  /** Asks a question on stderr; returns whether the line on stdin is `yes`. */
  confirm: (question: string) => Promise<boolean>;
  /** Runs a registry on this machine, with the flags of the local server; resolves once it is ready. */
  serve: Serve;
};

/** Starts the local server, which ends the process by itself. */
export type Serve = (args: readonly string[]) => Promise<void>;

/** The flags that were given. */
export class FlagValues {
  readonly #values: Map<string, string[]>;

  constructor(values: Map<string, string[]>) {
    this.#values = values;
  }

  /** The same without some flags. */
  without(names: readonly string[]): FlagValues {
    return new FlagValues(new Map([...this.#values].filter(([name]) => !names.includes(name))));
  }

  /** Everything after the flag, for a flag that takes the rest. */
  rest(name: string): string[] {
    return this.list(name);
  }

  /** Whether the flag was given. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The value that was given last. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  /** All values that were given. */
  list(name: string): string[] {
    return this.#values.get(name) ?? [];
  }
}

/** The account of `ADMIN_PASSWORD`, of which the registry keeps no record. */
export const adminName = "admin";
