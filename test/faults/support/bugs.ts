/** Bugs on purpose, each against a promise of docs/design.md, that random programs must find. */
import type { FaultKind } from "./generate.ts";
import type { Replacement } from "./replacing.ts";

/** What each comes to, and the changes to the sources that bring it. */
type Bugs = Record<string, Replacement | Replacement[]>;

/** Those that need calls which fail. */
const ofFailures: Bugs = {
  "KV decides that a manifest does not exist": {
    file: "src/registry/manifests.ts",
    from: "const row = replicated ?? (await registry.ledger(repository).manifest(digest));",
    to: "const row = replicated;",
  },
  "the outbox drops a write that failed": {
    file: "src/objects/repository/outbox.ts",
    from: "if (isUnchanged) this.#postpone(mark, now + retryMs);",
    to: 'this.#sql.exec("DELETE FROM outbox WHERE kind = ? AND id = ?", mark.kind, mark.id);',
  },
  "a write to KV that lands after a delete is never taken back": {
    file: "src/objects/repository/outbox.ts",
    from: "const unsettledUntil = earlier !== null ? earlier : isDelete ? now + this.#repeatMs : null;",
    to: "const unsettledUntil = isDelete ? null : earlier;",
  },
  "collection ignores that a blob's grace was renewed": {
    file: "src/objects/repository/links.ts",
    from: 'else if (keepUntil > clock.now()) due.set("unlink", digest, keepUntil);',
    to: "",
  },
  "an adoption that is repeated drops its own key": {
    file: "src/objects/blobs.ts",
    from: "    } else if (current?.key !== blob.key) {\n",
    to: '    } else if (current?.key === blob.key) {\n      this.#bury(blob, "a duplicate");\n    } else {\n',
  },
  "a key that R2 does not have any more is a 404": {
    file: "src/registry/blobs.ts",
    from: "await readElsewhere(registry, repository, location, range)",
    to: 'failure("BLOB_UNKNOWN", { digest })',
  },
  "a look-up of a tag joins one that began before it": {
    file: "src/registry/tag-lookups.ts",
    from: `    if (lane.waiting === batch) lane.waiting = undefined;
    const tags = [...batch.tags];
    const call = this.#ledger(repository).resolveTags(tags);
`,
    to: `    const tags = [...batch.tags];
    const call = this.#ledger(repository).resolveTags(tags).finally(() => {
      if (lane.waiting === batch) lane.waiting = undefined;
    });
`,
  },
  "an isolate goes back to an older place of a tag": {
    file: "src/registry/tags-seen.ts",
    from: "if (known !== undefined && known.sequence >= row.sequence) return known;",
    to: "",
  },
};

/** Bugs by the kind of faults that they need. */
export const bugs: Partial<Record<FaultKind, Bugs>> = { failures: ofFailures };
