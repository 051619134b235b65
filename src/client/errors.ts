/** Every failure of a registry, as one type of error. */

/**
 * The kind of failure.
 *
 * - `unreachable`: there was no answer
 * - `refused`: the registry, or its token service, answered with an error
 * - `foreign`: the answer is not from a registry, or violates the specification
 * - `redirected`: the registry sends on to where a request of this kind does not go
 * - `untrusted`: the registry asks for credentials that would travel unencrypted
 * - `broken`: bytes broke off, or are not those of their digest
 */
export type FailureKind = "unreachable" | "refused" | "foreign" | "redirected" | "untrusted" | "broken";

/** More about an answer. `code`: the first code of its errors. `retryAfterMs`: when to try again. */
export type FailureFacts = {
  status?: number | undefined;
  code?: string | undefined;
  retryAfterMs?: number | undefined;
};

/** The registry refused, could not be reached, or is not a registry; the message is for people. */
export class RegistryError extends Error {
  override name = "RegistryError";
  readonly kind: FailureKind;
  /** The status of the answer, if there was one. */
  readonly status: number | undefined;
  /** The specification's code in the answer, if it has one; `UNREACHABLE` when there was no answer. */
  readonly code: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: FailureKind,
    message: string,
    { status, code, retryAfterMs }: FailureFacts = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? {} : { cause });
    this.kind = kind;
    this.status = status;
    this.code = kind === "unreachable" ? "UNREACHABLE" : code;
    this.retryAfterMs = retryAfterMs;
  }

  /** The same failure, with its subject in front of the message. */
  about(subject: string): RegistryError {
    return new RegistryError(this.kind, `${subject}: ${this.message}`, this, this.cause ?? this);
  }
}
