/**
 * The policies as an isolate knows them. They are read again when they are a while old, so that what was put is in
 * force everywhere within a minute; and only before a write.
 */
import type { Clock } from "../clock.ts";
import type { Result } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/reference.ts";
import { type AppliedPolicy, policyFor, type Rules, type StoredPolicies } from "../policy/document.ts";
import type { CatalogApi } from "../rpc/api.ts";
import { Unreachable } from "../rpc/stubs.ts";
import { second } from "../units.ts";

/** How long an isolate goes by what it read, in milliseconds; less than the minute that is promised. */
const keptMs = 50 * second;

/** How soon it tries again after the catalog could not be reached, in milliseconds. */
const againMs = 5 * second;

/** The policies in an isolate. */
export class PolicyCache {
  readonly #clock: Clock;
  readonly #catalog: () => Pick<CatalogApi, "policies" | "putPolicies">;
  #policies: StoredPolicies | undefined;
  #isRead = false;
  #nextReadAt = 0;

  constructor(clock: Clock, catalog: () => Pick<CatalogApi, "policies" | "putPolicies">) {
    this.#clock = clock;
    this.#catalog = catalog;
  }

  /**
   * What holds for a repository; `undefined` if there are no policies.
   *
   * @throws Unreachable if this isolate never read them, and cannot now: then no name or tag could be checked.
   */
  async of(repository: RepositoryName): Promise<AppliedPolicy | undefined> {
    if (!this.#isRead || this.#clock.now() >= this.#nextReadAt) await this.#read();
    if (this.#policies === undefined) return undefined;
    const { version, rules } = this.#policies;
    return { version, policy: policyFor(rules, repository) };
  }

  /** The document, as it is now; `undefined` if there never was one. */
  async current(): Promise<StoredPolicies | undefined> {
    this.#keep(await this.#catalog().policies());
    return this.#policies;
  }

  /** Replaces the document. Error: `POLICIES_CHANGED` if it is not of the expected version. */
  async put(
    rules: Rules,
    expected: number | undefined,
    actor: string,
  ): Promise<Result<{ policies: StoredPolicies }>> {
    const put = await this.#catalog().putPolicies(rules, expected, actor);
    if (put.ok) this.#keep(put.policies);
    return put;
  }

  /** A ledger knows what it was sent last. So while the catalog cannot be reached, what was read before will do. */
  async #read(): Promise<void> {
    try {
      await this.current();
    } catch (error) {
      if (!(error instanceof Unreachable) || !this.#isRead) throw error;
      this.#nextReadAt = this.#clock.now() + againMs;
    }
  }

  /** Answers may arrive in another order than they were made. */
  #keep(policies: StoredPolicies | undefined): void {
    this.#isRead = true;
    this.#nextReadAt = this.#clock.now() + keptMs;
    if ((policies?.version ?? 0) > (this.#policies?.version ?? 0)) this.#policies = policies;
  }
}
