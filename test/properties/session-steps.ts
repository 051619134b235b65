/** Random requests to one upload session, with offsets and digests that are mostly right. */
import fc, { type Arbitrary } from "fast-check";
import { digestOf } from "../support/content.ts";
import { mostly, of } from "./arbitraries.ts";
import { badDigests } from "./pools.ts";
import type { Framing, Pair, RepositoryRequest } from "./request.ts";
import type { NamedLocation, Session } from "./session-model.ts";

/** A step; what it is exactly depends on where the upload stands by then. */
export type Step = {
  method: string;
  /** Whether the client goes on with the `Location` that it had first. */
  isAtFirst: boolean;
  body: Uint8Array;
  framing: Framing;
  range: keyof typeof ranges;
  digest: "sha256" | "sha512" | "other" | "bad" | "none";
};

/** What `Content-Range` says of bytes that begin at an offset. */
const ranges = {
  none: () => undefined,
  right: (offset: number, length: number) => `${offset}-${offset + length - 1}`,
  bytes: (offset: number, length: number) => `bytes ${offset}-${offset + length - 1}/*`,
  ahead: (offset: number, length: number) => `${offset + 1}-${offset + length}`,
  behind: (offset: number, length: number) =>
    `${Math.max(0, offset - 1)}-${Math.max(0, offset + length - 2)}`,
  long: (offset: number, length: number) => `${offset}-${offset + length}`,
  short: (offset: number, length: number) => `${offset}-${offset + length - 2}`,
  junk: () => "bytes=0-",
};

const step = (method: string, weight: number): { arbitrary: Arbitrary<Step>; weight: number } => ({
  weight,
  arbitrary: fc.record({
    method: fc.constant(method),
    isAtFirst: fc.oneof({ arbitrary: fc.constant(false), weight: 5 }, fc.constant(method !== "PUT")),
    body: mostly(fc.uint8Array({ maxLength: 60 }), fc.constant(new Uint8Array())),
    framing:
      method === "GET" || method === "DELETE"
        ? of<Framing>(["none"])
        : mostly(of<Framing>(["length"]), of<Framing>(["chunked", "none"])),
    range: mostly(
      of<Step["range"]>(["none", "right"]),
      of<Step["range"]>(["bytes", "ahead", "behind", "long", "short", "junk"]),
    ),
    digest: mostly(
      of<Step["digest"]>(["sha256"]),
      of<Step["digest"]>(["sha512"]),
      of<Step["digest"]>(["other", "bad", "none"]),
    ),
  }),
});

/** How many {@link steps} there are, about. */
export const stepsOfSession = 5;

/** The requests to one session, after the one that opens it. */
export const steps: Arbitrary<Step[]> = fc.array(
  fc.oneof(step("PATCH", 6), step("PUT", 3), step("GET", 2), step("DELETE", 1)),
  { minLength: 1, maxLength: 2 * stepsOfSession - 1, size: "max" },
);

/** The request that a step is, and the location that it names. */
export function toRequest(session: Session, each: Step): { request: RepositoryRequest; at: NamedLocation } {
  const { method, body, framing, range, digest } = each;
  const at = each.isAtFirst ? session.first : session.latest;
  const sent = framing === "none" ? new Uint8Array() : body;
  const isWhole = !at.isStarted && framing === "length" && sent.byteLength > 0;
  const total = isWhole ? sent : new Uint8Array([...session.kept, ...sent]);
  const digests: Record<Step["digest"], string | undefined> = {
    sha256: digestOf(total),
    sha512: digestOf(total, "sha512"),
    other: digestOf(new Uint8Array([...total, 1])),
    bad: badDigests[total.byteLength % badDigests.length],
    none: undefined,
  };
  const named = digests[digest];
  const contentRange = ranges[range](session.kept.byteLength, sent.byteLength);
  const hasBody = method === "PATCH" || method === "PUT";
  const request: RepositoryRequest = {
    resource: "upload",
    name: session.name,
    reference: at.reference,
    method,
    query: method === "PUT" && named !== undefined ? [["digest", named] satisfies Pair] : [],
    headers: hasBody && contentRange !== undefined ? [["Content-Range", contentRange] satisfies Pair] : [],
    body,
    framing,
  };
  return { request, at };
}
