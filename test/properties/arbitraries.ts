/** Random requests to the endpoints of the distribution API, valid and not. */
import fc, { type Arbitrary } from "fast-check";
import { digestOf } from "../support/content.ts";
import {
  badDigests,
  badNames,
  badTags,
  blobDigests,
  blobs,
  goodNames,
  inPath,
  manifestDigests,
  manifests,
  tags,
} from "./pools.ts";
import type { Framing, Pair, RepositoryRequest, Resource } from "./request.ts";

/** Most often the first, now and then one of the others. */
export function mostly<T>(usual: Arbitrary<T>, ...others: Arbitrary<T>[]): Arbitrary<T> {
  return fc.oneof(
    { arbitrary: usual, weight: 6 * others.length },
    ...others.map((arbitrary) => ({ arbitrary, weight: 1 })),
  );
}

/** One of these. */
export const of = <T>(values: T[]): Arbitrary<T> => fc.constantFrom(...values);

/** No name of such has a segment that is a word of the paths, or that URLs resolve. */
const isPlainName = (name: string) =>
  !/(^|\/)(blobs|manifests|tags|referrers|uploads|list|\.{1,2})(\/|$)/.test(name);
const oddName = fc.string({ unit: of([..."ab0-_./"]), minLength: 1, maxLength: 12 }).filter((name) => {
  return isPlainName(name) && !name.startsWith("/") && !name.endsWith("/") && !name.includes("//");
});
const name = mostly(of(goodNames), of(badNames), oddName);

/** Methods that clients may send, whatever the route. */
export const allMethods = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"];
const method = (...usual: string[]) => mostly(of(usual), of(allMethods));

const number = fc.oneof(fc.integer({ min: 0, max: 12 }), of([299, 300, 301, 4999, 5000, 1e6, 1e15, 1e20]));
const span = fc
  .tuple(fc.option(number), fc.option(number))
  .map(([first, last]) => `${first ?? ""}-${last ?? ""}`);
const junk = fc.string({ unit: of([...'bytes=-0123, */"W:;x']), maxLength: 12 });
const range = mostly(
  span.map((each) => `bytes=${each}`),
  fc.tuple(span, span).map(([one, other]) => `bytes=${one},${other}`),
  span,
  junk,
);
const contentRange = mostly(
  span,
  span.map((each) => `bytes ${each}/*`),
  junk,
);
/** `"own"` stands for the entity tag of what the path names. */
const entityTag = fc.oneof(
  of(['"own"', 'W/"own"', "*"]),
  of([...blobDigests, ...manifestDigests]).map((digest) => `"${digest}"`),
  of(['"other"', "Sat, 21 Nov 2026 00:00:00 GMT"]),
  junk,
);
const entityTags = fc.array(entityTag, { minLength: 1, maxLength: 3 }).map((each) => each.join(", "));

const condition: Arbitrary<Pair> = fc.oneof(
  { arbitrary: fc.tuple(of(["Range", "range"]), range), weight: 3 },
  { arbitrary: fc.tuple(of(["If-None-Match"]), entityTags), weight: 1 },
  { arbitrary: fc.tuple(of(["If-Match"]), entityTags), weight: 1 },
  { arbitrary: fc.tuple(of(["If-Range"]), entityTag), weight: 1 },
);
const header: Arbitrary<Pair> = fc.oneof(
  condition,
  fc.tuple(of(["Content-Range"]), contentRange),
  fc.tuple(of(["Accept"]), of(["*/*", "text/html", "application/json;q=0"])),
  fc.tuple(
    of(["Content-Type"]),
    mostly(of(manifests.map(({ type }) => type)), of(["text", "a/b;c", ";", "a/b, c/d"])),
  ),
  fc.tuple(of(["If-Match", "Origin", "Cookie", "X-Forwarded-Host"]), junk),
);
/** Headers that mean something, to whatever route. */
export const headers = mostly(fc.array(header, { maxLength: 1 }), fc.array(header, { maxLength: 4 }));

/** The parameters of lists. */
export const pageQuery: Arbitrary<Pair> = fc.oneof(
  fc.tuple(of(["n"]), mostly(of(["0", "1", "2", "10001"]), of(["-1", "x", "", "1.5", "9".repeat(400)]))),
  fc.tuple(of(["last"]), of(["", "a", "v0", "~", ...manifestDigests, ...tags])),
  fc.tuple(
    of(["artifactType"]),
    of(["", "application/vnd.example.signature", "application/vnd.example.config", "x"]),
  ),
);
const noise: Arbitrary<Pair> = fc.tuple(of(["ns", "n", "digest", "x", "__proto__"]), junk);
/** Parameters, or now and then others. */
export const query = (usual: Arbitrary<Pair>) =>
  mostly(fc.array(usual, { maxLength: 3 }), fc.array(noise, { maxLength: 2 }));

/** Mostly with a length. */
export const framing: Arbitrary<Framing> = mostly(of<Framing>(["length"]), of<Framing>(["chunked"]));
const anyBody = fc.oneof(
  of([...blobs, ...manifests.map(({ bytes }) => bytes)]),
  fc.uint8Array({ maxLength: 40 }),
);

const blobDigest = mostly(of(blobDigests), of(badDigests));
const path = (text: Arbitrary<string>) =>
  fc
    .tuple(text, mostly(fc.constant(false), fc.constant(true)))
    .map(([each, isEncoded]) => inPath(each, isEncoded));

const base = { name, headers, query: fc.constant<Pair[]>([]), body: fc.constant(new Uint8Array()) };
const request = (parts: { [field in keyof RepositoryRequest]: Arbitrary<RepositoryRequest[field]> }) =>
  fc.record(parts);
const about = (resource: Resource) => fc.constant(resource);
const nothing = fc.constant("");

/** Puts the entity tag of what a request names in the place of `"own"`. */
function withOwnTag(request: RepositoryRequest): RepositoryRequest {
  const own = request.reference.replace(/%3A/g, ":");
  return {
    ...request,
    headers: request.headers.map(([each, value]): Pair => [each, value.replaceAll('"own"', `"${own}"`)]),
  };
}

/** Reads and deletes. A body is not looked at, and does no harm. */
const readBlob = request({
  ...base,
  headers: mostly(fc.array(condition, { maxLength: 2 }), headers),
  resource: about("blob"),
  reference: path(blobDigest),
  method: method("GET", "GET", "GET", "GET", "HEAD", "HEAD", "DELETE"),
  framing: mostly(of<Framing>(["none"]), of<Framing>(["length"])),
});
const readManifest = request({
  ...base,
  headers: mostly(fc.array(condition, { maxLength: 1 }), headers),
  resource: about("manifest"),
  reference: path(mostly(of([...tags, ...manifestDigests]), of([...badTags, ...badDigests]))),
  method: method("GET", "GET", "GET", "GET", "HEAD", "HEAD", "DELETE").filter((each) => each !== "PUT"),
  framing: of<Framing>(["none"]),
});
const list = request({
  ...base,
  resource: of<Resource>(["tags", "referrers"]),
  reference: path(mostly(of(manifestDigests), of(badDigests))),
  query: query(pageQuery),
  method: method("GET", "GET", "HEAD"),
  framing: of<Framing>(["none"]),
});
/** Sessions that nobody opened. */
const forgedUpload = request({
  ...base,
  resource: about("upload"),
  reference: path(
    of(["made-up", crypto.randomUUID(), `${crypto.randomUUID()}.abc.as.${"A".repeat(43)}`, "a".repeat(3000)]),
  ),
  query: query(fc.tuple(of(["digest"]), blobDigest)),
  method: method("GET", "PATCH", "PUT", "DELETE"),
  body: anyBody,
  framing,
});

/** A manifest, mostly under its own digest or a tag, with its own type. */
const pushManifest = fc
  .record({
    parts: request({
      ...base,
      resource: about("manifest"),
      reference: path(mostly(of(tags), of([...badTags, ...badDigests, ...manifestDigests]))),
      query: query(fc.tuple(of(["tag"]), mostly(of(tags), of(badTags)))),
      method: of(["PUT"]),
      framing,
    }),
    manifest: mostly(of(manifests.slice(0, 10)), of(manifests)),
    isByDigest: fc.option(of(["sha256", "sha512"] as const), { freq: 2 }),
    hasType: mostly(fc.constant(true), fc.constant(false)),
  })
  .map(({ parts, manifest, isByDigest, hasType }) => ({
    ...parts,
    reference: isByDigest === null ? parts.reference : digestOf(manifest.bytes, isByDigest),
    headers: hasType
      ? [
          ...parts.headers.filter(([each]) => each !== "Content-Type"),
          ["Content-Type", manifest.type] as Pair,
        ]
      : parts.headers,
    body: manifest.bytes,
  }));

/** A whole blob with one POST, mostly with its own digest; a mount; or the opening of a session. */
const pushBlob = fc
  .record({
    parts: request({
      ...base,
      resource: about("uploads"),
      reference: nothing,
      method: method("POST"),
      body: mostly(of(blobs), fc.uint8Array({ maxLength: 40 })),
      framing,
    }),
    digest: mostly(of(["sha256", "sha512"] as const), blobDigest),
  })
  .map(({ parts, digest }) => {
    const named = digest === "sha256" || digest === "sha512" ? digestOf(parts.body, digest) : digest;
    return { ...parts, query: [["digest", named] as Pair] };
  });
const openUpload = request({
  ...base,
  resource: about("uploads"),
  reference: nothing,
  query: fc.array(
    fc.oneof(
      // Everybody has the empty blob, and only so many are asked whether they still do.
      fc.tuple(of(["mount"]), mostly(of(blobDigests.slice(1, 6)), of(badDigests))),
      fc.tuple(of(["from"]), mostly(of(goodNames), of([...badNames, "props/none", ""]))),
      fc.tuple(of(["digest-algorithm"]), of(["sha256", "sha512", "md5", "", "constructor"])),
    ),
    { maxLength: 3 },
  ),
  method: method("POST"),
  framing: of<Framing>(["length"]),
});

/** Any request about a repository. */
const repositoryRequest: Arbitrary<RepositoryRequest> = fc.oneof(
  { arbitrary: readBlob.map(withOwnTag), weight: 6 },
  { arbitrary: readManifest.map(withOwnTag), weight: 6 },
  { arbitrary: pushManifest, weight: 6 },
  { arbitrary: pushBlob, weight: 4 },
  { arbitrary: openUpload, weight: 2 },
  { arbitrary: list, weight: 3 },
  { arbitrary: forgedUpload, weight: 1 },
);

/** How many requests there are in one of {@link repositoryRequests}, about. */
export const requestsInSequence = 25;

/** Requests about repositories, one after the other. */
export const repositoryRequests: Arbitrary<RepositoryRequest[]> = fc.array(repositoryRequest, {
  minLength: 1,
  maxLength: 2 * requestsInSequence,
  size: "max",
});
