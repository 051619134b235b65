/** Whether the links of the pages lead anywhere. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import test from "node:test";

const root = join(import.meta.dirname, "..", "..");
const markdownIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(root, folder, name));
const pages = [...markdownIn("."), ...markdownIn("docs")];
const read = (path: string) => readFileSync(path, "utf8");

/** A heading's anchor, as GitHub makes it. */
function anchorOf(heading: string): string {
  const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
  return words.replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-");
}

function anchorsIn(page: string): Set<string> {
  const headings = withoutCode(read(page)).matchAll(/^#{1,6} (.+)$/gm);
  return new Set([...headings].map(([, heading = ""]) => anchorOf(heading)));
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^( *)```[\s\S]*?^\1```$/gm, "");
}

for (const page of pages) {
  const name = relative(root, page);
  test(`every link of ${name} within the project leads to a file, and to a heading of it`, () => {
    const links = withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm);
    const targets = [...links]
      .map(([, inline, defined]) => inline ?? defined ?? "")
      .filter((target) => !/^[a-z]+:/.test(target));
    const broken = targets.filter((target) => {
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : join(dirname(page), path);
      if (!existsSync(file)) return true;
      return anchor !== undefined && !anchorsIn(file).has(anchor);
    });
    assert.deepEqual(broken, []);
  });
}
