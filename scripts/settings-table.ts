/** The README's table of settings, as it follows from src/settings/table.ts. Run as a program, this writes it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { settingTable } from "../src/settings/table.ts";

const readmePath = join(import.meta.dirname, "..", "README.md");

/** The table's header, by which it is found. */
const header = "| variable | default | accepts | what it is |";

/** The README with the table of settings as it is now. */
export function renderReadme(): string {
  const rows = Object.values(settingTable).map(({ variable, default: fallback, type, doc }) => {
    const cells = [`\`${variable}\``, fallback === "" ? "" : `\`${fallback}\``, type.range, doc];
    return `|${cells.map((cell) => (cell === "" ? " " : ` ${cell} `)).join("|")}|`;
  });
  const table = [header, "| --- | --- | --- | --- |", ...rows, ""].join("\n");
  return readFileSync(readmePath, "utf8").replace(/^\| variable \|.*\n(?:\|.*\n)+/m, () => table);
}

if (import.meta.main) writeFileSync(readmePath, renderReadme());
