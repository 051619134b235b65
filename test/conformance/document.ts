/** docs/conformance.md, as it follows from the statements. Run as a program, this writes it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { sectionsByFile } from "./sections.ts";
import { levelOf, type Section, type Statement } from "./statement.ts";

/** Where the page is. */
export const documentPath = join(import.meta.dirname, "..", "..", "docs", "conformance.md");

/** What was read: the newest commit of each specification when this was written. */
const sources: Record<Section["document"], string> = {
  "distribution-spec": "967efdc",
  "image-spec": "13cff54",
};

/** The page. */
export function renderDocument(): string {
  const sections = sectionsByFile.flatMap(([, all]) => all);
  const statements = sections.flatMap((section) => section.statements);
  const count = (level: string) => statements.filter((statement) => levelOf(statement) === level).length;
  return [
    "# Conformance",
    "",
    "What the specifications say of registries, statement by statement, and what holds Stowage to it. Each row is a test in `npm test`, under the name of its id, in the file that heads the table. Where the words leave a choice, the row says what was chosen.",
    "",
    `Read for this: ${Object.entries(sources).map(linkToSource).join(" and ")}. ${statements.length} statements: ${count("MUST")} MUST, ${count("SHOULD")} SHOULD, ${count("MAY")} MAY, and ${count("says")} that just say how it is. What is asked of clients alone is at the end.`,
    "",
    "This page is written by `npm run conformance:document`; a test compares the two.",
    "",
    ...sectionsByFile.flatMap(([file, all]) => all.flatMap((section) => renderSection(file, section))),
    "## Said of clients",
    "",
    "These have a key word too, but no registry can do them, or see whether they were done.",
    "",
    ...sections.flatMap(renderClients),
  ].join("\n");
}

function linkToSource([document, commit]: [string, string]): string {
  return `[${document}](https://github.com/opencontainers/${document}/tree/${commit}) at ${commit}`;
}

function renderSection(file: string, { document, title, statements }: Section): string[] {
  return [
    `## ${document}: ${title}`,
    "",
    `[test/conformance/sections/${file}](../test/conformance/sections/${file})`,
    "",
    "| case | | the specification | Stowage |",
    "| --- | --- | --- | --- |",
    ...statements.map(renderRow),
    "",
  ];
}

function renderRow(statement: Statement): string {
  const { id, quote, choice = "As it says." } = statement;
  return `| \`${id}\` | ${levelOf(statement)} | ${cell(plain(quote))} | ${cell(choice)} |`;
}

function renderClients({ title, ofClients = [] }: Section): string[] {
  return ofClients.length === 0
    ? []
    : [`**${title}**`, "", ...ofClients.map((quote) => `- ${plain(quote)}`), ""];
}

/** Links of the specification lead nowhere here, and its tags are not for this page. */
function plain(quote: string): string {
  return quote
    .replace(/\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])/g, "$1")
    .replace(/<sup>.*?<\/sup>/g, "")
    .replace(/(?<!`[^`]*)<([a-z-]+)>/g, "`<$1>`");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

if (import.meta.main) writeFileSync(documentPath, renderDocument());
