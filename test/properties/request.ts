/** A request as the properties make it up: what is in it, and its bytes on the wire. */
import { head } from "../support/raw.ts";

export type Pair = [name: string, value: string];

/** What a path of the distribution API is about. */
export type Resource = "manifest" | "blob" | "uploads" | "upload" | "tags" | "referrers";

/** A request about a repository. `name` and `reference` are as they are in the path. */
export type RepositoryRequest = {
  resource: Resource;
  name: string;
  /** What comes after the resource, where something does. */
  reference: string;
  method: string;
  query: Pair[];
  headers: Pair[];
  body: Uint8Array;
  framing: Framing;
};

/** How the body is sent: with its length, in chunks, or not at all. */
export type Framing = "length" | "chunked" | "none";

const paths: Record<Resource, (reference: string) => string> = {
  manifest: (reference) => `manifests/${reference}`,
  blob: (reference) => `blobs/${reference}`,
  uploads: () => "blobs/uploads/",
  upload: (reference) => `blobs/uploads/${reference}`,
  tags: () => "tags/list",
  referrers: (reference) => `referrers/${reference}`,
};

/** The path and query of a request. */
export function targetOf({ resource, name, reference, query }: RepositoryRequest): string {
  const search = query.length === 0 ? "" : `?${new URLSearchParams(query)}`;
  return `/v2/${name}/${paths[resource](reference)}${search}`;
}

/**
 * A header's value; of one that is sent more than once, all of them, as HTTP joins them. One without a value the
 * runtime passes over.
 */
export function headerOf({ headers }: Pick<RepositoryRequest, "headers">, wanted: string): string | null {
  const values = headers
    .filter(([name]) => name.toLowerCase() === wanted)
    .map(([, value]) => value.trim())
    .filter((value) => value !== "");
  return values.length === 0 ? null : values.join(", ");
}

/** The headers as {@link headerOf} reads them. */
export function headersOf(request: Pick<RepositoryRequest, "headers">): { get(name: string): string | null } {
  return { get: (name) => headerOf(request, name.toLowerCase()) };
}

/** Whether a browser made the request for another site, which may change nothing. No page is of the registry itself. */
export function isForeign({ method, headers }: Pick<RepositoryRequest, "method" | "headers">): boolean {
  return !["GET", "HEAD", "OPTIONS"].includes(method) && headerOf({ headers }, "origin") !== null;
}

/** The length that a request announces. */
export function announcedLength({ framing, body }: RepositoryRequest): number | undefined {
  return framing === "length" ? body.byteLength : undefined;
}

/** What a request sends, all in all. */
export function sentBody({ framing, body }: RepositoryRequest): Uint8Array {
  return framing === "none" ? new Uint8Array() : body;
}

/** The bytes of a request. */
export function bytesOf(request: RepositoryRequest): Uint8Array {
  const { method, headers, body, framing } = request;
  return onTheWire(method, targetOf(request), headers, body, framing);
}

/** The bytes of any request. */
export function onTheWire(
  method: string,
  target: string,
  headers: Pair[],
  body: Uint8Array,
  framing: Framing,
): Uint8Array {
  const framings: Record<Framing, Pair[]> = {
    length: [["Content-Length", String(body.byteLength)]],
    chunked: [["Transfer-Encoding", "chunked"]],
    none: [],
  };
  const sent: Record<Framing, Uint8Array[]> = {
    length: [body],
    chunked: [...chunk(body), Buffer.from("0\r\n\r\n")],
    none: [],
  };
  return Buffer.concat([
    Buffer.from(head(method, target, [...headers, ...framings[framing]]), "latin1"),
    ...sent[framing],
  ]);
}

function chunk(body: Uint8Array): Uint8Array[] {
  if (body.byteLength === 0) return [];
  return [Buffer.from(`${body.byteLength.toString(16)}\r\n`), body, Buffer.from("\r\n")];
}
