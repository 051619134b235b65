/**
 * What authentication keeps in an isolate: keys, verified tokens, limits.
 */
import { ByteLru } from "../../registry/lru.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Access } from "./access.ts";
import { AuditBook } from "./audit-book.ts";
import { KeyRing } from "./key-ring.ts";
import { FailureLimit } from "./limits.ts";
import { LoginGate } from "./login-gate.ts";
import { Outsiders } from "./outsiders.ts";
import { PasswordChecker } from "./passwords.ts";

/** What somebody may, and until when that is taken to hold, in milliseconds since 1970; and what keeping it takes. */
export type KeptAccess = { access: Access; until: number; bytes: number };

/** One isolate's memory of who is who. */
export type Guard = {
  registry: Registry;
  keys: KeyRing;
  outsiders: Outsiders;
  passwords: PasswordChecker;
  /** How many questions whether a repository is public are under way, by who asks. */
  questions: Map<string, number>;
  /** What is to be told to the audit log. */
  audit: AuditBook;
  /** What is before the derivations of passwords. */
  gate: LoginGate;
  /** What verified bearer tokens let do, by the `Authorization` header that they came in. */
  bearers: ByteLru<KeptAccess>;
  /** What accounts may in all, for mounts and lists. */
  subjects: ByteLru<KeptAccess>;
  loginFailures: FailureLimit;
  misses: FailureLimit;
};

const guards = new WeakMap<Registry, Guard>();

/** The guard of this registry. */
export function guardOf(registry: Registry): Guard {
  const known = guards.get(registry);
  if (known !== undefined) return known;
  const guard: Guard = {
    registry,
    keys: new KeyRing(registry),
    outsiders: new Outsiders(registry),
    passwords: new PasswordChecker(),
    questions: new Map(),
    audit: new AuditBook(registry),
    gate: new LoginGate(registry),
    bearers: new ByteLru(4 * 1024 * 1024, ({ bytes }) => bytes),
    subjects: new ByteLru(1024 * 1024, ({ bytes }) => bytes),
    loginFailures: new FailureLimit(registry.env, "LOGIN_FAILURES", registry.clock),
    misses: new FailureLimit(registry.env, "ANONYMOUS_MISSES", registry.clock),
  };
  guards.set(registry, guard);
  return guard;
}
