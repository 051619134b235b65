/** Requests that HTTP does not allow, or that are not whole. None of them asks for a change that may be made. */
import fc, { type Arbitrary } from "fast-check";
import type { ErrorName } from "../../src/oci/errors.ts";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { digestOf } from "../support/content.ts";
import { head } from "../support/raw.ts";
import { mostly, of } from "./arbitraries.ts";
import { blobDigests, blobs, manifests } from "./pools.ts";
import { onTheWire, type Pair } from "./request.ts";

/** A request whose body ends too early, and what it is refused with. `isSession`: its target is that of a session. */
export type CutShort = {
  bytes: (target: string) => Uint8Array;
  target: string;
  isSession: boolean;
  error: ErrorName;
};

type Whole = {
  method: string;
  target: string;
  isSession: boolean;
  type: string;
  body: Uint8Array;
  error: ErrorName;
};

const large = blobs[4] ?? new Uint8Array();
const push = {
  isSession: false,
  type: "application/octet-stream",
  body: large,
  error: "BLOB_UPLOAD_INVALID",
} as const;
const wholes: Whole[] = [
  { ...push, method: "POST", target: `/v2/props/a/blobs/uploads/?digest=${digestOf(large)}` },
  { ...push, method: "PATCH", target: "", isSession: true },
  { ...push, method: "PUT", target: `?digest=${digestOf(large)}`, isSession: true },
  {
    method: "PUT",
    target: "/v2/props/a/manifests/cut",
    isSession: false,
    type: imageManifestType,
    body: manifests[0]?.bytes ?? large,
    error: "SIZE_INVALID",
  },
  { ...push, method: "POST", target: "/token", error: "REQUEST_INVALID" },
  { ...push, method: "PUT", target: "/api/v1/accounts/cut", error: "REQUEST_INVALID" },
];

/** What ends a body in chunks; the runtime does not wait for the last bytes of it. */
const lastChunk = "\r\n0\r\n\r\n";

/** A body that is cut anywhere, or the chunks of which are none any more from there on. */
export const cutShort: Arbitrary<CutShort> = fc
  .record({
    whole: of(wholes),
    cut: fc.double({ min: 0, max: 0.999, noNaN: true }),
    framing: of(["length", "chunked"] as const),
    rubbish: mostly(fc.constant(""), of(["\r\nzz\r\n", "\r\n-1\r\n", "\r\nffffffffffffffffff\r\n"])),
  })
  .map(({ whole, cut, framing, rubbish }) => ({
    ...whole,
    bytes: (target: string) => {
      const { method, type, body } = whole;
      const all = onTheWire(method, target, [["Content-Type", type]], body, framing);
      const headLength = Buffer.from(all).indexOf("\r\n\r\n") + 4;
      const end = all.byteLength - (framing === "chunked" ? lastChunk.length : 0);
      const sent = all.slice(0, headLength + Math.floor((end - headLength) * cut));
      return framing === "chunked" ? Buffer.concat([sent, Buffer.from(rubbish)]) : sent;
    },
  }));

const digest = blobDigests[3] ?? "";
const plain: [method: string, target: string][] = [
  ["GET", "/v2/props/a/manifests/latest"],
  ["HEAD", `/v2/props/a/blobs/${digest}`],
  ["PUT", "/v2/props/a/manifests/odd"],
  ["PATCH", "/v2/props/a/blobs/uploads/made-up"],
  ["POST", "/token"],
];
const oddHeaders: Pair[][] = [
  [
    ["Content-Length", "1"],
    ["Content-Length", "2"],
  ],
  [
    ["Content-Length", "2"],
    ["Content-Length", "2"],
  ],
  [
    ["Content-Length", "2"],
    ["Transfer-Encoding", "chunked"],
  ],
  [["Content-Length", "-1"]],
  [["Content-Length", "1e1"]],
  [["Content-Length", "0x2"]],
  [["Content-Length", "99999999999999999999"]],
  [["Transfer-Encoding", "gzip"]],
  [
    ["Transfer-Encoding", "chunked"],
    ["Transfer-Encoding", "chunked"],
  ],
  [["Transfer-Encoding", "identity"]],
  [["Host", "two.example"]],
  [["Host", "[bad"]],
  [["Expect", "nonsense"]],
  [
    ["Connection", "upgrade"],
    ["Upgrade", "websocket"],
  ],
  [["Connection", "close, keep-alive"]],
  [
    ["Accept-Encoding", "gzip"],
    ["Range", "bytes=0-0"],
    ["range", "bytes=1-1"],
  ],
  [
    ["Authorization", "Bearer"],
    ["Authorization", "Basic"],
  ],
  [["Content-Encoding", "gzip"]],
  [["X-Large", "x".repeat(20_000)]],
  [["No value", "a"]],
  [["", "a"]],
  [["Bad\u0000", "a"]],
  [["Cookie", "\u0000\u0001\u007f\u00ff"]],
];
const oddTargets = [
  "*",
  "v2/",
  "//",
  "/v2/../v2/",
  "/v2/props/a/manifests/%00",
  "/v2/props/a/manifests/\u00ff",
  "/v2/props/a/manifests/latest?n=%zz&%",
  "/v2/props/a/manifests/latest#x",
  "/v2/props\\a/tags/list",
  "http://other.example/v2/",
  "other.example:443",
  `/v2/${"a/".repeat(4000)}`,
  "/v2/ HTTP/1.0\r\nX: ",
  "/v2/ HTTP/3",
];
const oddMethods = ["get", "G\u0000ET", "PROPFIND", "CONNECT", "TRACE", "", "GET GET", "PRI"];

/** Requests with one thing wrong, or several bytes of it changed. All end with a body of two bytes, which may be no part of it. */
export const odd: Arbitrary<Uint8Array> = fc
  .record({
    plain: of(plain),
    headers: mostly(of(oddHeaders), fc.constant<Pair[]>([])),
    target: mostly(fc.constant(undefined), of(oddTargets)),
    method: mostly(fc.constant(undefined), of(oddMethods)),
    changes: fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 })), { maxLength: 2 }),
  })
  .map(
    ({ plain: [usualMethod, usualTarget], headers, target = usualTarget, method = usualMethod, changes }) => {
      const isRead = method === "GET" || method === "HEAD";
      const bytes = Buffer.from(`${head(method, target, headers)}{}`, "latin1");
      // A byte that is changed must not make another request of one that writes.
      for (const [position, byte] of isRead ? changes : [])
        if (position > 4 && position < bytes.byteLength) bytes[position] = byte;
      return bytes;
    },
  );
