/** Every statement of the specifications about registries, as a test of its own, and the page that lists them. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { suite } from "node:test";
import { documentPath, renderDocument } from "./document.ts";
import { sectionsByFile } from "./sections.ts";
import { levelOf } from "./statement.ts";
import { startWorld } from "./world.ts";

const world = await startWorld();
const sections = sectionsByFile.flatMap(([, all]) => all);
const statements = sections.flatMap((section) => section.statements);

for (const { document, title, statements } of sections) {
  suite(`${document}: ${title}`, () => {
    for (const statement of statements) test(statement.id, () => statement.check(world));
  });
}

test("every file of sections is among them, and every section has statements", () => {
  const files = readdirSync(join(import.meta.dirname, "sections"));
  assert.deepEqual(sectionsByFile.map(([file]) => file).toSorted(), files.toSorted());
  for (const { title, statements } of sections) assert(statements.length > 0, title);
});

test("every statement has an id and words of its own, and says what was chosen where there is a choice", () => {
  const ids = statements.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const statement of statements) {
    const { id, quote, choice } = statement;
    assert.match(id, /^[a-z0-9]+(-[a-z0-9]+)*$/);
    assert(quote.length > 0 && choice !== "", id);
    if (levelOf(statement) !== "MUST" && /\b(SHOULD|MAY|OPTIONAL)\b/.test(quote))
      assert(choice !== undefined, id);
  }
});

test("docs/conformance.md is what `npm run conformance:document` writes", () => {
  assert.equal(readFileSync(documentPath, "utf8"), renderDocument());
});
