/** The tables of docs/api.md: of each resource its calls, and the fields of their bodies. */
import assert from "node:assert/strict";
import * as v from "valibot";
import { contract, type ResourceName } from "../../src/contract/contract.ts";
import {
  apiRoot,
  type Endpoint,
  methods,
  type Operation,
  type Paging,
} from "../../src/contract/operation.ts";
import { audienceOf } from "./wording.ts";

/** Writes the tables anew, between marks that name resources. Every resource must be named once. */
export function fillTables(page: string): string {
  const named: string[] = [];
  const filled = page.replace(
    /(<!-- contract: ([\w, ]+) -->\n)[\s\S]*?(?=<!-- end -->)/g,
    (_, mark: string, names: string) => {
      const resources = names.split(", ");
      named.push(...resources);
      return mark + tablesOf(resources.map((name) => contract[name as ResourceName]));
    },
  );
  assert.deepEqual(named.toSorted(), Object.keys(contract).toSorted(), "docs/api.md has every resource once");
  return filled;
}

/** An operation, and how a table calls it. */
type Row = { method: string; call: string; operation: Operation };

function tablesOf(resources: { [path: string]: Endpoint }[]): string {
  const rows: Row[] = resources.flatMap((resource) =>
    Object.entries(resource).flatMap(([path, endpoint]) =>
      methods.flatMap((method) => {
        const operation = endpoint[method];
        return operation === undefined
          ? []
          : [{ method, call: `\`${method} ${apiRoot}${path}\``, operation }];
      }),
    ),
  );
  const cells = rows.map(({ call, operation }) => [call, audienceOf(operation.access), saidOf(operation)]);
  return [tableOf(["call", "for", ""], cells), ...bodyTables(rows)].join("\n");
}

function saidOf({ summary, details, answers, query, page }: Operation): string {
  const statuses = Object.keys(answers);
  const known = [
    ...(statuses.length === 1 ? statuses.filter((status) => status !== "200") : statuses),
    ...[...Object.keys(query ?? {}), ...(page === undefined ? [] : pageParameters(page))].map(
      (name) => `\`${name}\``,
    ),
  ];
  const more = details === undefined ? "" : ` ${details}`;
  return `${summary}${known.length === 0 ? "" : ` (${known.join(", ")})`}.${more}`;
}

function pageParameters({ last }: Paging): string[] {
  return last === "none" ? ["n"] : ["n", "last"];
}

/** Tables of the fields of bodies. What makes a thing and what changes it share one, where they have the same fields. */
function bodyTables(rows: Row[]): string[] {
  const tables = new Map<string, { rows: Row[]; fields: [name: string, schema: v.GenericSchema][] }>();
  for (const row of rows) {
    const { operation } = row;
    if (!("body" in operation) || operation.body === undefined) continue;
    const fields = Object.entries<v.GenericSchema>(operation.body.entries);
    // How work goes on is said once, for all of it.
    if (fields.every(([name]) => name === "cursor")) continue;
    const key = JSON.stringify(fields.map(([name, schema]) => [name, descriptionOf(schema)]));
    tables.set(key, {
      rows: [...(tables.get(key)?.rows ?? []), row],
      fields: tables.get(key)?.fields ?? fields,
    });
  }
  return Array.from(tables.values(), ({ rows: [first, ...others], fields }) => {
    const calls = [first, ...others].map((row) => row?.call).join(", ");
    const head = [`field of ${calls}`, others.length === 0 ? "needed" : `needed by \`${first?.method}\``, ""];
    return tableOf(
      head,
      fields.map(([name, schema]) => [`\`${name}\``, isNeeded(schema) ? "yes" : "", descriptionOf(schema)]),
    );
  });
}

function isNeeded({ type }: v.GenericSchema): boolean {
  return type !== "optional" && type !== "exact_optional";
}

function descriptionOf(schema: v.GenericSchema): string {
  return v.getDescription("wrapped" in schema ? (schema.wrapped as v.GenericSchema) : schema) ?? "";
}

function tableOf(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `|${cells.map((cell) => (cell === "" ? " |" : ` ${cell} |`)).join("")}\n`;
  return line(head) + line(head.map(() => "---")) + rows.map(line).join("");
}
