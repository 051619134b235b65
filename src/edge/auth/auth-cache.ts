/**
 * What authentication keeps in the memory of an isolate: keys, verified tokens, limits.
 */
import { ExpiringLru } from "../../registry/caches.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Access } from "../context.ts";
import { FederatedIdentities } from "./federated.ts";
import { FailureLimit } from "./limits.ts";
import { LoginThrottle } from "./login-throttle.ts";
import { PasswordChecker } from "./passwords.ts";
import { KeyRing } from "./tokens.ts";

/** What a caller may do, and how much memory it takes. */
export type CachedAccess = { access: Access; bytes: number };

/** The authentication cache of one isolate. */
export type AuthCache = {
  registry: Registry;
  keys: KeyRing;
  federated: FederatedIdentities;
  passwords: PasswordChecker;
  /** How many look-ups of whether a repository is public are in flight, by caller. */
  visibilityLookups: Map<string, number>;
  /** Limits the derivations of passwords. */
  throttle: LoginThrottle;
  /** What verified bearer tokens allow, by the `Authorization` header that they came in. */
  bearers: ExpiringLru<CachedAccess>;
  /** Everything that an account may do, for mounts and lists. */
  subjects: ExpiringLru<CachedAccess>;
  loginFailures: FailureLimit;
  misses: FailureLimit;
};

const caches = new WeakMap<Registry, AuthCache>();

/** The authentication cache of this registry. */
export function authCacheOf(registry: Registry): AuthCache {
  const known = caches.get(registry);
  if (known !== undefined) return known;
  const cache: AuthCache = {
    registry,
    keys: new KeyRing(registry),
    federated: new FederatedIdentities(registry),
    passwords: new PasswordChecker(registry.clock),
    visibilityLookups: new Map(),
    throttle: new LoginThrottle(registry),
    bearers: new ExpiringLru(registry.clock, 4 * 1024 * 1024, ({ bytes }) => bytes),
    subjects: new ExpiringLru(registry.clock, 1024 * 1024, ({ bytes }) => bytes),
    loginFailures: new FailureLimit(registry.rateLimits, "LOGIN_FAILURES", registry.clock),
    misses: new FailureLimit(registry.rateLimits, "ANONYMOUS_MISSES", registry.clock),
  };
  caches.set(registry, cache);
  return cache;
}
