/** A ledger in memory, without an object: for tests of its features. */
import type { Env } from "../../src/bindings.ts";
import { createLedger, type LedgerParts, makeParts } from "../../src/objects/ledger/parts.ts";
import { type Tx, transaction } from "../../src/objects/sql.ts";
import { registryItself } from "../../src/oci/event.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";
import { memoryStorage } from "./sqlite.ts";

/** The parts of a ledger that nobody has written to, what its clock shows, and transactions. */
export type MemoryLedger = LedgerParts & {
  clock: { nowMs: number; now: () => number };
  change: <T>(work: (tx: Tx) => T) => T;
};

/** Makes a ledger of `team/app`, with bindings of its own. */
export function memoryLedger(env: Partial<Env> = {}): MemoryLedger {
  const storage = memoryStorage();
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const parts = makeParts(storage, env as Env, clock);
  transaction(storage, (tx) => createLedger(tx, parts, "team/app" as RepositoryName));
  parts.repository.reload();
  return { ...parts, clock, change: (work) => transaction(storage, work) };
}

const referencesOfEach = 5;

/**
 * A ledger of so many manifests, each with a tag and blobs, half of them shared with the next one. It has rows in every
 * table whose rows come back when a deletion is undone.
 */
export function largeLedger(manifestCount: number, env: Partial<Env>): MemoryLedger {
  const ledger = memoryLedger(env);
  const { change, repository, clock } = ledger;
  change((tx) => {
    repository.found(tx, registryItself);
    const numbers = `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${manifestCount})`;
    // Spread evenly, as hashes are.
    const digest = (of: string) => `'sha256:' || printf('%04x%060x', (${of}) * 40503 % 65536, ${of})`;
    tx.write(`${numbers} INSERT INTO manifests (digest, media_type, size, pushed_at)
      SELECT ${digest("n * 7919")}, 'application/vnd.example', 400, 1 FROM numbers`);
    tx.write(
      `INSERT INTO manifest_bytes (digest, part, bytes) SELECT digest, 0, zeroblob(400) FROM manifests`,
    );
    for (let each = 0; each < referencesOfEach; each++) {
      tx.write(`${numbers} INSERT OR IGNORE INTO manifest_references (manifest, digest)
        SELECT ${digest("n * 7919")}, ${digest(`(n * 3 + ${each}) * 104729`)} FROM numbers`);
    }
    tx.write(`INSERT OR IGNORE INTO blobs (digest, key, size, renewed_at, replicated)
      SELECT DISTINCT digest, 'blobs/' || digest, 1000, 1, 1 FROM manifest_references`);
    tx.write(`${numbers} INSERT INTO tags (tag, digest, sequence, moved_at)
      SELECT 'tag-' || n, ${digest("n * 7919")}, ${clock.nowMs} + n, 1 FROM numbers`);
    tx.write(`INSERT INTO tag_history (sequence, tag, to_digest, at, actor)
      SELECT sequence, tag, digest, 1, 'ci' FROM tags`);
    tx.write("INSERT INTO held_tags (tag, at, actor, reason) SELECT tag, 1, 'ci', 'a release' FROM tags");
    tx.write("INSERT INTO readme (id, text) VALUES (1, 'What it is.')");
  });
  repository.reload();
  return ledger;
}
