/** Bugs of authentication and authorisation, and of what is done with each request. */
import { bug, type TestedBug } from "./tested-bug.ts";

const tokens = "src/edge/auth/tokens.ts";
const signedByUs = "of a token that the registry's key signed and the registry did not issue";

export const ofEdge: Record<string, TestedBug> = {
  "a token of another issuer under our key is taken": bug(
    "test/auth/long-push.test.ts",
    signedByUs,
    tokens,
    "        issuer: settings.service,\n",
    "",
  ),
  "a token for another service under our key is taken": bug(
    "test/auth/long-push.test.ts",
    signedByUs,
    tokens,
    "        audience: settings.service,\n",
    "",
  ),
  "a token without an end is good for ever": bug(
    "test/auth/long-push.test.ts",
    signedByUs,
    tokens,
    '["sub", "exp", "nbf", "iat"]',
    '["sub", "nbf", "iat"]',
  ),
  "a token that lives for years is taken": bug(
    "test/auth/long-push.test.ts",
    signedByUs,
    tokens,
    " && (exp - iat) * 1000 <= maxLifeMs",
    "",
  ),
  "a token of a clock that is a little ahead is refused": bug(
    "test/auth/long-push.test.ts",
    signedByUs,
    tokens,
    "        clockTolerance: clockToleranceSeconds,\n",
    "",
  ),
  "a token is called invalid because the catalog is away": bug(
    "test/unit/key-ring.test.ts",
    "a known key needs no catalog, and a token is not called invalid because the catalog is away",
    tokens,
    "    if (error instanceof errors.JOSEError) return undefined;\n    throw error;",
    "    return undefined;",
  ),
  "a key that another isolate made stays unknown": bug(
    "test/unit/key-ring.test.ts",
    "a key that another isolate made is known within a second, and is what is signed with within minutes",
    tokens,
    "const askAgainMs = 1_000;",
    "const askAgainMs = 100_000;",
  ),
  "each unknown key is looked for in the catalog": bug(
    "test/unit/key-ring.test.ts",
    "unknown keys are looked for once a second",
    tokens,
    "const askAgainMs = 1_000;",
    "const askAgainMs = 0;",
  ),
  "any token reads the metrics where none is set for that": bug(
    "test/auth/forged-tokens.test.ts",
    "forged tokens open nothing, wherever they are shown",
    "src/edge/auth/authenticate.ts",
    "metricsToken !== undefined && passwords.isSame(value, metricsToken)",
    "passwords.isSame(value, metricsToken ?? value)",
  ),
  "the token of another issuer is remembered beyond its end": bug(
    "test/auth/federated-identities.test.ts",
    "is taken no longer than it lasts",
    "src/edge/auth/authenticate.ts",
    "Math.min(principal.endsAtMs ?? 0, clock.now() + settings.tokenTtlMs)",
    "clock.now() + settings.tokenTtlMs",
  ),
  "each name in a token is taken for a registered one": bug(
    "test/auth/names.test.ts",
    "a bearer token for a name that does not exist causes no call to its ledger",
    "src/edge/auth/authenticate.ts",
    'type === "repository" && registered ?',
    'type === "repository" ?',
  ),
  "a first try is used up for which there was no place": bug(
    "test/unit/login-throttle.test.ts",
    "an account that found no place still has its first try",
    "src/edge/auth/login-throttle.ts",
    "if (slot !== undefined) this.#attempted.set",
    "this.#attempted.set",
  ),
  "a clock that was put back makes refusals wait for long": bug(
    "test/unit/login-throttle.test.ts",
    "a refusal waits for what is left of 200 ms, also where the clock was put back",
    "src/edge/auth/login-throttle.ts",
    "refuseAfterMs - Math.max(0, tookMs)",
    "refuseAfterMs - tookMs",
  ),
  "a platform that fails to count fails logins": bug(
    "test/unit/limits.test.ts",
    "where the platform fails to count, nobody is refused",
    "src/edge/auth/limits.ts",
    ".catch(() => ({ success: true }))",
    "",
  ),
  "the audit log takes the last room on the disk": bug(
    "test/unit/audit-queue.test.ts",
    "when the disk is as good as full, only what administrators did is still told",
    "src/edge/auth/audit.ts",
    'isDire ? all.filter(({ kind }) => kind === "administration") : all',
    "all",
  ),
  "an issuer's answer that it failed is taken for its keys": bug(
    "test/auth/federated-identities.test.ts",
    "serve on, whatever the issuer does when it is asked again",
    "src/edge/auth/federated.ts",
    "if (response.status !== 200) {",
    "if (response.status >= 500) {",
  ),
  "a token of an issuer whose clock is a little ahead is refused": bug(
    "test/auth/forged-tokens.test.ts",
    "one of a clock that is a little ahead is taken",
    "src/edge/auth/federated.ts",
    "        clockTolerance: clockToleranceSeconds,\n",
    "",
  ),
  "everybody may change what everybody may pull": bug(
    "test/auth/isolation.test.ts",
    "that everybody may pull from a repository lets nobody change it",
    "src/edge/auth/authorise.ts",
    'if (verb === "pull" && !byGrant',
    "if (!byGrant",
  ),
};
