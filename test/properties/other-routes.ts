/**
 * Random requests to the routes that are not about one repository's content: tokens, the management API, health. Of
 * some the model knows the answer; of all, which methods they have, and that nothing that is asked is a failure.
 */
import fc, { type Arbitrary } from "fast-check";
import { routes } from "../../src/edge/routes.ts";
import { isVerb } from "../../src/oci/grant.ts";
import { parsePage } from "../../src/oci/http.ts";
import { parseRepositoryName } from "../../src/oci/reference.ts";
import { encode } from "../support/content.ts";
import { allMethods, framing, headers, mostly, of, pageQuery, query } from "./arbitraries.ts";
import { badNames, inPath } from "./pools.ts";
import { type Prediction, refuse, refuseMethod } from "./prediction.ts";
import { type Framing, isForeign, type Pair } from "./request.ts";

export type OtherRequest = {
  /** The name of its route, and the methods that this has. */
  route: string;
  methods: string[];
  method: string;
  target: string;
  query: Pair[];
  headers: Pair[];
  body: Uint8Array;
  framing: Framing;
};

const others = routes.filter(({ of: kind }) => kind !== "repository");
/** Texts for the parameters of paths; none is of anything that is there. */
const parameter = fc.oneof(
  of(["made-up", "none", "__proto__", "%00", "%2e%2e%2f", "a%", "ä", "*", ...badNames])
    .filter((text) => !text.includes("/"))
    .map((text) => inPath(text, false)),
  fc.string({ unit: "grapheme", maxLength: 8 }).map(encodeURIComponent),
);

const value = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  of(["admin", "pull", "push", "props/a", "props/none", "Upper", ""]),
);
const fields = of([
  "account",
  "repository",
  "verb",
  "grants",
  "disabled",
  "description",
  "cursor",
  "x",
  "__proto__",
]);
const explanation = fc.record({
  account: mostly(of<unknown>(["admin", "nobody"]), value),
  repository: mostly(of<unknown>(["props/a", "props/none"]), of<unknown>(badNames), value),
  verb: mostly(of<unknown>(["pull", "push", "delete", "admin"]), value),
});
const json = mostly(
  explanation.map(encode),
  fc
    .array(fc.tuple(fields, value), { maxLength: 3 })
    .map((entries) => encode(JSON.stringify(Object.fromEntries(entries)))),
  value.map((each) => encode(JSON.stringify(each))),
  fc.uint8Array({ maxLength: 30 }),
);
const form = fc
  .array(
    fc.tuple(
      of(["grant_type", "username", "password", "refresh_token", "scope", "access_type"]),
      of(["password", "refresh_token", "offline", "repository:props/a:pull", "repository:a::b,c:*", "", "ä"]),
    ),
    { maxLength: 5 },
  )
  .map((entries) => encode(new URLSearchParams(entries).toString()));

/** Any request to them; with a method that its route has, most often. */
export const otherRequest: Arbitrary<OtherRequest> = of(others).chain((route) =>
  fc
    .record({
      method: mostly(of([...Object.keys(route.methods), "GET"]), of(allMethods)),
      parameters: fc.array(parameter, { minLength: 3, maxLength: 3 }),
      query: query(pageQuery),
      headers,
      body: route.name === "token" ? form : json,
      framing: framing,
    })
    .map(({ parameters, ...rest }) => {
      const filled = route.path.replace(/:\w+\+?/g, () => parameters.pop() || "made-up");
      const search = rest.query.length === 0 ? "" : `?${new URLSearchParams(rest.query)}`;
      return { ...rest, route: route.name, methods: Object.keys(route.methods), target: filled + search };
    }),
);

const nameMethods = ["GET", "HEAD", "PATCH", "DELETE"];

/** What the answer must be; `undefined` where the model does not know more than that it is no failure. */
export function predictOther(request: OtherRequest): Prediction | undefined {
  const { route, methods, method, body } = request;
  const isRefusedToRead = route === "token" || routes.find(({ name }) => name === route)?.of === "management";
  if (isForeign(isRefusedToRead ? { ...request, method: "POST" } : request)) return refuse("SITE_FOREIGN");
  if (!methods.includes(method === "HEAD" ? "GET" : method)) {
    // What is under a repository may be the end of another one's name.
    const isName = request.target.startsWith("/api/v1/repositories/") && nameMethods.includes(method);
    return isName ? undefined : refuseMethod(methods);
  }
  const page = parsePage(new URLSearchParams(request.query));
  switch (`${method} ${route}`) {
    case "GET base":
      return { status: 200, body: {} };
    case "GET catalog":
    case "GET repositories": {
      // What begins so is a cursor, and none that the registry has made.
      const isInvalid = page === undefined || page.last.startsWith("~");
      return isInvalid ? refuse("PAGE_INVALID") : { status: 200 };
    }
    case "GET accounts":
      return page === undefined ? refuse("PAGE_INVALID") : { status: 200 };
    case "POST explain":
      return predictExplanation(body);
    case "POST token":
      return predictToken(new URLSearchParams(new TextDecoder().decode(body)));
    default:
      return undefined;
  }
}

function predictExplanation(body: Uint8Array): Prediction {
  let question: unknown;
  try {
    question = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    return refuse("REQUEST_INVALID");
  }
  if (typeof question !== "object" || question === null || Array.isArray(question))
    return refuse("REQUEST_INVALID");
  const asked = question as Record<string, unknown>;
  if (Object.keys(asked).some((field) => !["account", "repository", "verb"].includes(field)))
    return refuse("REQUEST_INVALID");
  if (typeof asked.account !== "string" || !isVerb(asked.verb)) return refuse("REQUEST_INVALID");
  const isNamed = typeof asked.repository === "string" && parseRepositoryName(asked.repository) !== undefined;
  return isNamed ? { status: 200 } : refuse("NAME_INVALID");
}

/** Nobody has a password here; how often one is tried is limited, which is not what this is about. */
function predictToken(asked: URLSearchParams): Prediction | undefined {
  switch (asked.get("grant_type")) {
    case "password":
      return undefined;
    case "refresh_token":
      return refuse("TOKEN_INVALID");
    default:
      return refuse("GRANT_UNSUPPORTED");
  }
}
