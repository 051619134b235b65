/** docs/clients.md, as the results of the matrix make it. */
import { type Operation, operations, type Result } from "./results.ts";

const versionsTitle = "## Versions";

const preface = `# Clients

What each client was seen to do with the registry, on a local server with authentication on: each logs in with an account or a generated token of its own that may do everything in its own repositories and nothing elsewhere, and the digests of what it pushes and pulls are compared. \`npm run test:clients\` makes this page; the tests are in [test/clients/matrix](../test/clients/matrix).`;

function isOperation(what: string): what is Operation {
  return (operations as readonly string[]).includes(what);
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function operationTable(results: readonly Result[]): string {
  const lines = [row("client", ...operations), row("---", ...operations.map(() => ":-:"))];
  for (const { client, passed } of results) {
    lines.push(row(client, ...operations.map((operation) => (passed.includes(operation) ? "✓" : "—"))));
  }
  return lines.join("\n");
}

/** A heading for each client that there is something to say of, with a list below it. */
function lists(results: readonly Result[], linesOf: (result: Result) => readonly string[]): string {
  const sections: string[] = [];
  for (const result of results) {
    const lines = linesOf(result).map((line) => `- ${line}`);
    if (lines.length > 0) sections.push(`**${result.client}**\n\n${lines.join("\n")}`);
  }
  return sections.join("\n\n");
}

function lackingLines({ lacks }: Result): string[] {
  return Object.entries(lacks).map(([operation, why]) => `${operation}: ${why}`);
}

/** The whole page. */
export function renderTable(results: readonly Result[]): string {
  const parts = [
    preface,
    operationTable(results),
    "## What is lacking (—)",
    lists(results, lackingLines),
    "## What else was tried",
    lists(results, ({ passed }) => passed.filter((what) => !isOperation(what))),
    "## What is to be known",
    lists(results, ({ surprises }) => surprises),
    versionsTitle,
    "With which this page was made; the registry's behaviour does not depend on them.",
    results.map(({ client, version }) => `- ${client} ${version}`).join("\n"),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** A page without the versions, which differ from machine to machine. */
export function withoutVersions(page: string): string {
  return page.slice(0, page.indexOf(versionsTitle));
}
