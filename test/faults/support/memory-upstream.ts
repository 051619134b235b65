/**
 * Another registry, in memory: it has what programs push, and tags that move. It fails in every way that docs/caching.md
 * knows of, and slowly. Its answers are streams, as those of a network are.
 */
import { blobs, type ManifestContent } from "./contents.ts";
import { tagCount, type UpstreamFault, type UpstreamFaultTarget } from "./program.ts";

/** Where it is, its id here, the one repository that is cached of it, and how long a tag is served without asking. */
export const upstreamUrl = "https://registry.upstream.example";
export const upstreamId = "up";
export const cacheName = `${upstreamId}/app`;
export const tagTtlMs = 60_000;

/** Faults that cost a client nothing but time. */
const harmless: ReadonlySet<UpstreamFault> = new Set<UpstreamFault>(["slow", "no length", "no HEAD"]);

const statuses: Partial<Record<UpstreamFault, number>> = {
  "401": 401,
  "403": 403,
  "404": 404,
  "429": 429,
  "500": 500,
  "503": 503,
};

type Armed = { fault: UpstreamFault; of: UpstreamFaultTarget; times: number };
type Content = { bytes: Uint8Array; digest: string; mediaType: string };
type Move = { at: number; manifest: number };
type Answered = {
  method: string;
  kind: "manifests" | "blobs";
  content: Content;
  offset: number;
  signal: AbortSignal | undefined;
};

/** How bytes are sent: in pieces, and how it ends. */
type Sending = {
  bytes: Uint8Array;
  end: "close" | "hang" | "reset";
  isSlow: boolean;
};

const pieceBytes = 20_000;

/** The registry of one world. */
export class MemoryUpstream {
  readonly #note: (line: string) => void;
  readonly #manifests: ManifestContent[];
  readonly #moves: Move[][];
  #armed: Armed[] = [];
  #isDown = false;
  #open = 0;
  /** When it last failed in a way that clients may feel, on the programs' clock. */
  troubledAt = Number.NEGATIVE_INFINITY;
  /** How often each blob was asked for as a whole. */
  readonly #sent = new Map<string, number>();
  /** The blobs of which it failed to send the bytes last time. */
  readonly #failed = new Set<string>();

  constructor(manifests: ManifestContent[], note: (line: string) => void) {
    this.#manifests = manifests;
    this.#note = note;
    this.#moves = Array.from({ length: tagCount }, (_, tag) => [{ at: 0, manifest: tag % manifests.length }]);
  }

  /** What `fetch` is for the objects that ask it. */
  readonly fetch = async (address: string, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(address);
    const { method = "GET", signal } = init;
    if (url.pathname === "/v2/") return new Response("{}");
    const offset = Number(/^bytes=(\d+)-/.exec(new Headers(init.headers).get("Range") ?? "")?.[1] ?? 0);
    const found = this.#find(url.pathname);
    const armed = found && this.#take(found.kind, method);
    this.#note(`  upstream: ${method} ${url.pathname.slice(0, 40)} from ${offset}: ${armed ?? "well"}`);
    const isTroubled = this.#isDown || (armed !== undefined && !harmless.has(armed));
    if (isTroubled) this.troubledAt = Date.now();
    if (found !== undefined && method === "GET") {
      if (isTroubled) this.#failed.add(found.content.digest);
      else this.#failed.delete(found.content.digest);
    }
    if (this.#isDown) return new Response(null, { status: 503 });
    if (armed === "hang") return hangUntil(signal ?? undefined);
    const status = armed === undefined ? undefined : statuses[armed];
    if (found === undefined || status !== undefined) return new Response(null, { status: status ?? 404 });
    if (armed === "no HEAD") return new Response(null, { status: 405 });
    if (found.kind === "blobs" && method === "GET" && offset === 0)
      this.#sent.set(found.content.digest, this.timesSent(found.content.digest) + 1);
    return this.#answer({ ...found, method, offset, signal: signal ?? undefined }, armed);
  };

  /** Has the next answers fail. */
  fail(armed: Armed): void {
    this.#armed.push({ ...armed });
  }

  /** From now on it answers well; or, while it is down, not at all. */
  heal(isDown = false): void {
    this.#armed = [];
    this.#isDown = isDown;
  }

  /** Points a tag elsewhere. */
  move(tag: number, manifest: number): void {
    this.#moves[tag]?.push({ at: Date.now(), manifest });
  }

  /** Where a tag has pointed since a time. */
  placesSince(tag: number, time: number): number[] {
    const moves = this.#moves[tag] ?? [];
    return moves
      .filter((_, index) => (moves[index + 1]?.at ?? Number.POSITIVE_INFINITY) >= time)
      .map(({ manifest }) => manifest);
  }

  /** Whether what was asked for last of this content did not come, or not as it should. */
  hasFailed(digest: string): boolean {
    return this.#failed.has(digest);
  }

  /** How often a blob was asked for as a whole. */
  timesSent(digest: string): number {
    return this.#sent.get(digest) ?? 0;
  }

  /** Waits until nobody reads from it any more; at most so many milliseconds of the machine's time. */
  async isIdle(patienceMs: number): Promise<boolean> {
    const deadline = performance.now() + patienceMs;
    while (this.#open > 0 && performance.now() < deadline) await scheduler.wait(2);
    return this.#open === 0;
  }

  #take(kind: Answered["kind"], method: string): UpstreamFault | undefined {
    const armed = this.#armed.find(
      ({ fault, of, times }) =>
        times > 0 && (of === "any" || of === kind) && (fault !== "no HEAD" || method === "HEAD"),
    );
    if (armed === undefined) return undefined;
    armed.times--;
    return armed.fault;
  }

  #find(path: string): { kind: Answered["kind"]; content: Content } | undefined {
    const [, kind, reference = ""] = /^\/v2\/app\/(manifests|blobs)\/(.+)$/.exec(path) ?? [];
    if (kind === "blobs") {
      const blob = blobs.find(({ digest }) => digest === reference);
      return blob && { kind, content: { ...blob, mediaType: "application/octet-stream" } };
    }
    const tag = /^tag-(\d)$/.exec(reference)?.[1];
    const number = this.#moves[Number(tag)]?.at(-1)?.manifest;
    const content =
      tag === undefined
        ? this.#manifests.find(({ digest }) => digest === reference)
        : number === undefined
          ? undefined
          : this.#manifests[number];
    return content && { kind: "manifests", content };
  }

  #answer({ method, content, offset, signal }: Answered, fault: UpstreamFault | undefined): Response {
    const isHtml = fault === "html";
    const whole = isHtml
      ? new TextEncoder().encode("<html>log in first</html>")
      : bytesUnder(content.bytes, fault);
    const from = isHtml ? 0 : Math.min(offset, whole.byteLength);
    const bytes = whole.slice(from);
    const headers = new Headers({
      "Content-Type": isHtml ? "text/html" : content.mediaType,
      ...(isHtml ? {} : { "Docker-Content-Digest": content.digest }),
      ...(fault === "no length" ? {} : { "Content-Length": String(bytes.byteLength) }),
      ...(from > 0 ? { "Content-Range": `bytes ${from}-${whole.byteLength - 1}/${whole.byteLength}` } : {}),
    });
    const status = from > 0 ? 206 : 200;
    if (method === "HEAD") return new Response(null, { status, headers });
    return new Response(this.#send(sendingUnder(bytes, fault), signal), { status, headers });
  }

  #send({ bytes, end, isSlow }: Sending, signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
    let sent = 0;
    let isOpen = true;
    const close = () => {
      if (isOpen) this.#open--;
      isOpen = false;
    };
    this.#open++;
    return new ReadableStream({
      type: "bytes",
      start: (controller) => {
        const abort = () => {
          if (!isOpen) return;
          close();
          controller.error(signal?.reason);
        };
        signal?.addEventListener("abort", abort, { once: true });
      },
      pull: async (controller) => {
        if (isSlow) await scheduler.wait(1);
        const piece = bytes.slice(sent, sent + pieceBytes);
        sent += piece.byteLength;
        if (piece.byteLength > 0) return controller.enqueue(piece);
        // Who hangs is left, and who leaves cancels.
        if (end === "hang") return new Promise<void>(() => {});
        close();
        if (end === "reset") return controller.error(new Error("connection reset"));
        controller.close();
        // A reader that waits with a buffer of its own is told by that.
        controller.byobRequest?.respond(0);
      },
      cancel: close,
    });
  }
}

/** The bytes that come in the place of the right ones. */
function bytesUnder(bytes: Uint8Array, fault: UpstreamFault | undefined): Uint8Array {
  if (fault === "too few bytes") return bytes.slice(0, -1);
  if (fault === "too many bytes") return new Uint8Array([...bytes, 0]);
  if (fault !== "another digest") return bytes;
  return bytes.byteLength === 0
    ? new Uint8Array(1)
    : bytes.map((byte, at) => (at === bytes.byteLength - 1 ? byte ^ 1 : byte));
}

function sendingUnder(bytes: Uint8Array, fault: UpstreamFault | undefined): Sending {
  const half = bytes.slice(0, bytes.byteLength >> 1);
  const isSlow = fault === "slow";
  if (fault === "hang in the middle") return { bytes: half, end: "hang", isSlow };
  if (fault === "hang on the last byte") return { bytes: bytes.slice(0, -1), end: "hang", isSlow };
  if (fault === "reset in the middle") return { bytes: half, end: "reset", isSlow };
  return { bytes, end: "close", isSlow };
}

function hangUntil(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
