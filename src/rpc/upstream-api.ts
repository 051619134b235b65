/**
 * The interface of the objects that have what all questions to one upstream share: tokens, places for fetches, and what
 * is known of its state. Bytes never pass through them; see api.ts.
 */
import type { FailureKind } from "../client/errors.ts";
import type { RepositoryName } from "../oci/reference.ts";

/** Why a question to an upstream failed, as plain data: that of a `RegistryError`. */
export type UpstreamFailure = {
  ok: false;
  kind: FailureKind;
  message: string;
  status?: number | undefined;
  retryAfterMs?: number | undefined;
};

/** The `Authorization` to ask with, if one is needed; or why the upstream cannot be asked. */
export type Authorized = { ok: true; authorization: string | undefined } | UpstreamFailure;

/**
 * Whether the upstream may be asked now. `down`: it failed several times a moment ago; `limited`: it said that it was
 * asked too often; `absent`: it did not have the reference a moment ago.
 */
export type Admission =
  | Authorized
  | { ok: false; reason: "down" | "limited" | "absent"; retryAfterMs: number };

/** What came of a question. */
export type UpstreamOutcome = "answered" | "absent" | "denied" | "limited" | "down" | "invalid";

/** How many requests the upstream still takes, as its answers say. Seconds, as far as they are told. */
export type RateLimit = { limit: number; remaining: number; windowSeconds?: number; atMs: number };

/** What came of a question, for the state of the upstream. `reference`: what was asked for, `<name>@…` or `<name>:…`. */
export type UpstreamReport = {
  outcome: UpstreamOutcome;
  reference?: string;
  retryAfterMs?: number | undefined;
  rateLimit?: RateLimit | undefined;
  /** The status or the words of the last failure. */
  detail?: string;
};

/** The state of an upstream, as the object has it in memory. Times are milliseconds since 1970; 0: not so. */
export type UpstreamState = {
  failures: number;
  downUntilMs: number;
  limitedUntilMs: number;
  lastFailure: { atMs: number; detail: string } | undefined;
  lastAnswerAtMs: number;
  fetches: number;
  absent: number;
  rateLimit: RateLimit | undefined;
};

/** What all questions to one upstream share. */
export interface UpstreamApi {
  /**
   * Whether a repository of the upstream may be asked for a reference now, and with which `Authorization`. It asks the
   * upstream's token service where it has to, but no other object.
   */
  admit(id: string, name: RepositoryName, reference: string): Promise<Admission>;
  /** Another `Authorization`, after the upstream refused one with this challenge. */
  renew(
    id: string,
    name: RepositoryName,
    challenge: string | null,
    shown: string | undefined,
  ): Promise<Authorized>;
  report(report: UpstreamReport): Promise<void>;
  /** Takes one of the places for fetches for half a minute, or keeps one that was taken. False: none is free. */
  takePlace(id: string, fetch: string): Promise<boolean>;
  leavePlace(fetch: string): Promise<void>;
  state(): Promise<UpstreamState>;
  /** Evicts what is beyond the bounds of the upstream, and if the disk is low, what was not used for longest. */
  makeRoom(id: string): Promise<void>;
  /** Asks the upstream, or a repository of it, whether it answers. */
  check(id: string, name: RepositoryName | undefined): Promise<{ isReachable: boolean; detail: string }>;
}

/** The calls of {@link UpstreamApi} that may be repeated. */
export const repeatableUpstreamCalls: ReadonlySet<keyof UpstreamApi> = new Set([
  "admit",
  "takePlace",
  "leavePlace",
  "state",
  "makeRoom",
  "check",
]);
