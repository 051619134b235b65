/** Holds answers of the management API to its contract, which says what fields they have. */
import assert from "node:assert/strict";
import * as v from "valibot";
import { contract } from "../../src/contract/contract.ts";
import { apiRoot, type Endpoint, methods, type Operation } from "../../src/contract/operation.ts";

/** An operation, and where it is. */
export type Located = { method: string; path: string; name: string; operation: Operation };

/** Every operation of the contract, in the order in which requests are matched. */
export const operations: Located[] = Object.values(contract).flatMap((resource) =>
  Object.entries<Endpoint>(resource).flatMap(([path, endpoint]) =>
    methods.flatMap((method) => {
      const operation = endpoint[method];
      return operation === undefined ? [] : [{ method, path, name: endpoint.name, operation }];
    }),
  ),
);

const patterns = operations.map(({ path }) => {
  const pattern = path.replace("{name}", ".+").replace(/\{\w+\}/g, "[^/]+");
  return new RegExp(`^${apiRoot}${pattern}$`);
});

/** The operation that answers a request, if one does. `target` may have a query. */
export function operationOf(method: string, target: string): Operation | undefined {
  const [path = ""] = target.split("?");
  return operations.find((each, index) => each.method === method && patterns[index]?.test(path))?.operation;
}

/** Checks that an answer that is no error has the status and the body that the contract says, and nothing more. */
export function checkByContract(method: string, target: string, status: number, text: string): void {
  const operation = status < 300 ? operationOf(method, target) : undefined;
  if (operation === undefined) return;
  const what = `${method} ${target}: ${status} ${text.slice(0, 300)}`;
  const declared = operation.answers[status];
  assert(declared !== undefined, `the contract has no such status: ${what}`);
  if (declared.content !== undefined) return;
  if (declared.body === undefined) {
    assert.equal(text, "", what);
    return;
  }
  const json: unknown = JSON.parse(text);
  const parsed = v.safeParse(declared.body, json);
  assert(parsed.success, `${what}\n${JSON.stringify(parsed.issues?.map(describeIssue))}`);
  // Fields that no schema has are not in what was parsed.
  assert.deepEqual(json, parsed.output, what);
}

function describeIssue(issue: v.BaseIssue<unknown>): string {
  return `${v.getDotPath(issue)}: ${issue.message}`;
}
