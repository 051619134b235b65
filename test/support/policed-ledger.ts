/** A ledger in memory with a policy: for tests of what policies do to tags and manifests. */
import assert from "node:assert/strict";
import type { Env } from "../../src/bindings.ts";
import { jobsOf } from "../../src/objects/ledger/feature.ts";
import { readRows } from "../../src/objects/sql.ts";
import { registryItself } from "../../src/oci/event.ts";
import { readStoredManifest } from "../../src/oci/manifest.ts";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { type Digest, digestOfContent, type RepositoryName, type Tag } from "../../src/oci/reference.ts";
import { type Policy, policyFor, type Rule, type StoredPolicies } from "../../src/policy/document.ts";
import { day } from "../../src/units.ts";
import { configType, content, describe, imageManifest, layerType } from "./content.ts";
import { memoryLedger } from "./ledger.ts";
import { namespaceOf } from "./namespace.ts";

const repository = "team/app" as RepositoryName;
export const origin = { ...registryItself, actor: "builder" };
export const tagNamed = (text: string) => text as Tag;

/** A catalog with a document, and what ledgers told it. */
function catalogWith(document: { current: StoredPolicies | undefined }) {
  const waiting: unknown[] = [];
  const object = {
    policies: async () => document.current,
    putWaitingRun: async (_: string, run: unknown) => void waiting.push(run),
  };
  return { waiting, env: { CATALOG: namespaceOf(object) } as unknown as Env };
}

/** A ledger with a policy of one rule, and ways to push, to let days pass, and to run what is due. */
export function policedLedger(rule: Omit<Rule, "repositories">, env: Partial<Env> = {}) {
  const document: { current: StoredPolicies | undefined } = { current: undefined };
  const catalog = catalogWith(document);
  const parts = memoryLedger({ ...catalog.env, GC_GRACE: "1d", ...env } as Partial<Env>);
  const { change, clock, sql } = parts;
  let version = 0;
  const put = (...all: Omit<Rule, "repositories">[]): Policy => {
    const rules = all.map((sections) => ({ repositories: ["**"], ...sections }));
    document.current = { version: ++version, rules, putAtMs: clock.nowMs, putBy: "admin" };
    const policy = policyFor(rules, repository);
    change((tx) => parts.policies.adopt(tx, { version, policy }));
    return policy;
  };
  change((tx) => parts.repository.found(tx, origin));
  parts.repository.reload();
  const policy = put(rule);
  const push = (bytes: Uint8Array, mediaType: string, tags: string[] = []): Digest => {
    const digest = digestOfContent(bytes, "sha256");
    const facts = readStoredManifest(bytes, mediaType);
    const stored = change((tx) =>
      parts.guarded.store(
        tx,
        { repository, digest, bytes, facts, tags: tags.map(tagNamed), origin, sparse: true, registration: 1 },
        () => {},
      ),
    );
    assert.deepEqual(stored, { ok: true });
    return digest;
  };
  const image = (...tags: string[]) => {
    const bytes = imageManifest({ ...describe(content(), configType), size: 10 }, [
      { ...describe(content(), layerType), size: 100 },
    ]);
    return { bytes, digest: push(bytes, imageManifestType, tags) };
  };
  /** Runs what is due, until nothing is. */
  const settle = async () => {
    const jobs = jobsOf(parts.features);
    for (let rounds = 0; rounds < 1000; rounds++) {
      const found = readRows<{ kind: string; id: string; at: number }>(
        sql,
        `SELECT kind, id, at FROM due WHERE at <= ? AND kind IN
          ('retention', 'tell-waiting', 'untagged', 'untagged-scan', 'purge') ORDER BY kind DESC, at`,
        clock.nowMs,
      );
      const [first] = found;
      if (first === undefined) return;
      await jobs[first.kind]?.([{ id: first.id, at: first.at }]);
    }
    assert.fail("there is always something due");
  };
  const pass = async (days: number) => {
    for (let passed = 0; passed < days; passed++) {
      clock.nowMs += day;
      parts.untagged.scanIfNew();
      await settle();
    }
  };
  const tagNames = () =>
    readRows<{ tag: string }>(sql, "SELECT tag FROM tags ORDER BY tag").map(({ tag }) => tag);
  const manifestCount = () => readRows(sql, "SELECT digest FROM manifests").length;
  return { ...parts, ...catalog, document, policy, put, push, image, settle, pass, tagNames, manifestCount };
}
