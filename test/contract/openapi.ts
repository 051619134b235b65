/**
 * docs/openapi.json: the management API as the contract declares it. What is not declared there, such as `/v2`, is in
 * other-operations.json.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { contract, type ResourceName } from "../../src/contract/contract.ts";
import {
  type AnswerDeclaration,
  apiRoot,
  type Endpoint,
  methods,
  type Operation,
} from "../../src/contract/operation.ts";
import { type ParameterName, parameters } from "../../src/contract/parameters.ts";
import { errorCatalogue } from "../../src/oci/errors.ts";
import { jsonSchemaOf, namedSchemas } from "./json-schema.ts";
import { audienceSentence } from "./wording.ts";

type Document = {
  paths: Record<string, object>;
  components: Record<string, Record<string, object>>;
} & Record<string, unknown>;

const others: Document = JSON.parse(readFileSync(join(import.meta.dirname, "other-operations.json"), "utf8"));

const tags: Record<ResourceName, string> = {
  accounts: "Accounts",
  sessions: "Sessions",
  search: "Repositories",
  tokens: "Tokens",
  manifests: "Repositories",
  tags: "Repositories",
  views: "Repositories",
  deletedContent: "Repositories",
  policies: "Policies",
  repositories: "Repositories",
  explain: "Administration",
  audit: "Administration",
  keys: "Administration",
  webhooks: "Webhooks",
  deadLetters: "Webhooks",
  gc: "Upkeep",
  uploads: "Upkeep",
  upstreams: "Upkeep",
  usage: "Upkeep",
  scrub: "Upkeep",
  replica: "Upkeep",
  nameIndex: "Upkeep",
};

/** The whole document. */
export function openApi(): Document {
  const { paths, components, ...rest } = others;
  const declared = Object.entries(contract).flatMap(([name, resource]) =>
    Object.entries<Endpoint>(resource).map(([path, endpoint]) => {
      return [apiRoot + path, itemOf(tags[name as ResourceName], path, endpoint)] as const;
    }),
  );
  const pathParameters = Object.entries(parameters).map(([name, { description, schema }]) => {
    return [name, { name, in: "path", required: true, description, schema: jsonSchemaOf(schema) }] as const;
  });
  return {
    ...rest,
    paths: { ...Object.fromEntries(declared), ...paths },
    components: {
      ...components,
      parameters: { ...Object.fromEntries(pathParameters), ...components.parameters },
      schemas: { ...namedSchemas(), ...components.schemas },
    },
  };
}

function itemOf(tag: string, path: string, endpoint: Endpoint): object {
  const named = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => name as ParameterName);
  const operations = methods.flatMap((method) => {
    const operation = endpoint[method];
    if (operation === undefined) return [];
    return [[method.toLowerCase(), operationOf(tag, method, named, operation)] as const];
  });
  return {
    ...(named.length === 0 ? {} : { parameters: named.map((name) => reference("parameters", name)) }),
    ...Object.fromEntries(operations),
  };
}

function operationOf(tag: string, method: string, named: ParameterName[], operation: Operation): object {
  const { id, summary, details, access, answers } = operation;
  const asked = queryOf(operation);
  const answered = Object.entries(answers).map(([status, answer]) => [
    status,
    answerOf(Number(status), answer, operation),
  ]);
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: [audienceSentence(access), ...(details === undefined ? [] : [details])].join(" "),
    ...(asked.length === 0 ? {} : { parameters: asked }),
    ...bodyOf(operation),
    responses: Object.fromEntries([
      ...answered,
      ...errorsOf(method, named, operation).map(([status, name]) => [status, reference("responses", name)]),
    ]),
  };
}

function queryOf({ query = {}, page }: Operation): object[] {
  const own = Object.entries(query).map(([name, schema]) => {
    const { description, ...rest } = jsonSchemaOf(schema);
    return { name, in: "query", description, schema: rest };
  });
  if (page === undefined) return own;
  const n = reference("parameters", "n");
  if (page.last === "none") return [...own, n];
  const last = {
    name: "last",
    in: "query",
    description: "Where the page before ended; go by `Link`.",
    schema: { type: "integer" },
  };
  return [...own, n, page.last === "text" ? reference("parameters", "last") : last];
}

function bodyOf(operation: Operation): object {
  if (!("body" in operation) || operation.body === undefined) return {};
  return {
    requestBody: {
      required: operation.isBodyOptional !== true,
      content: { "application/json": { schema: jsonSchemaOf(operation.body) } },
    },
  };
}

function answerOf(
  status: number,
  { description, body, content }: AnswerDeclaration,
  { page }: Operation,
): object {
  if (content !== undefined && status !== 304) {
    return { description, content: { [content]: { schema: { type: "string", format: "binary" } } } };
  }
  if (body === undefined) return { description };
  const isPaged = page !== undefined && page.last !== "none";
  return {
    description,
    ...(isPaged ? { headers: { Link: reference("headers", "Link") } } : {}),
    content: { "application/json": { schema: jsonSchemaOf(body) } },
  };
}

const checkedNames: ParameterName[] = ["name", "tag", "digest"];

/** Which errors there may be: what follows from the declaration, and what it says besides. */
function errorsOf(method: string, named: ParameterName[], operation: Operation): [number, string][] {
  const { access, page, query, errors = [] } = operation;
  const hasBody = "body" in operation && operation.body !== undefined;
  const isChecked = named.some((name) => checkedNames.includes(name));
  const said = errors.map((error): number => errorCatalogue[error].status);
  const all: [number, string, boolean][] = [
    [400, "Invalid", hasBody || page !== undefined || query !== undefined || isChecked],
    [401, "Unauthorized", true],
    [403, "Denied", access !== "any account"],
    // Who puts something makes it.
    [404, "Unknown", named.length > 0 && method !== "PUT"],
    [409, "Refused", true],
    [412, "Changed", true],
    [429, "Limited", true],
    [503, "Unavailable", true],
  ];
  return all
    .filter(([status, , follows]) => follows || said.includes(status))
    .map(([status, name]) => [status, name]);
}

function reference(kind: string, name: string): object {
  return { $ref: `#/components/${kind}/${name}` };
}
