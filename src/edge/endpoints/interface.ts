/** The interface for people: the page that every screen begins with, and its script, style and icon. */
import { files } from "#interface";
import { failure } from "../../oci/errors.ts";
import { isNoneMatchSatisfiedBy } from "../../oci/http.ts";
import type { Answer, Context, HeaderMap } from "../context.ts";
import type { InterfaceFile } from "../interface/files.ts";

/** Nothing but what is in these files runs, is shown or is asked, and no other site may frame it. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const known = new Map(files.map((file) => [file.name, file]));
const decoded = new Map<string, Uint8Array>();
const unzipped = new Map<string, Uint8Array>();

/** Whether a browser asks for a page, and there is one. */
export function wantsPage(request: Request): boolean {
  return known.has("page.html") && request.headers.get("Accept")?.includes("text/html") === true;
}

/** The page. The script decides by the path which screen it shows. */
export async function page({ request }: Pick<Context, "request">): Promise<Answer> {
  const file = known.get("page.html");
  if (file === undefined) return failure("ROUTE_UNKNOWN");
  return serve(request, file, {
    "Content-Security-Policy": policy,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    Vary: "Accept, Accept-Encoding",
  });
}

/** A file that the page names. Its name changes with its content, so browsers keep it. Error: `ROUTE_UNKNOWN`. */
export async function asset({ request, params, url }: Context): Promise<Answer> {
  const file = known.get(params.file ?? "");
  if (file === undefined || file.name === "page.html") {
    return failure("ROUTE_UNKNOWN", { path: url.pathname });
  }
  return serve(request, file, {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "public, max-age=31536000, immutable",
    Vary: "Accept-Encoding",
  });
}

async function serve(request: Request, file: InterfaceFile, headers: HeaderMap): Promise<Answer> {
  const { contentType, hash } = file;
  const isGzipped = acceptsGzip(request.headers.get("Accept-Encoding"));
  const etag = `"${hash}${isGzipped ? "" : "-plain"}"`;
  const described = { ...headers, ETag: etag };
  if (isNoneMatchSatisfiedBy(request.headers.get("If-None-Match"), etag)) {
    return { status: 304, headers: described };
  }
  const body = isGzipped ? contentOf(file) : await plainContentOf(file);
  const all: HeaderMap = { ...described, "Content-Type": contentType };
  if (!isGzipped) return { status: 200, headers: all, body };
  return { status: 200, headers: { ...all, "Content-Encoding": "gzip" }, body, isEncoded: true };
}

/** Whether a client takes gzip. Source: RFC 9110, 12.5.3; a weight of 0 refuses it. */
function acceptsGzip(header: string | null): boolean {
  return /(?:^|[\s,])(?:gzip|\*)(?!\s*;\s*q=0(?:\.0*)?(?:[\s,]|$))/.test(header?.toLowerCase() ?? "");
}

function contentOf({ name, gzipped }: InterfaceFile): Uint8Array {
  const content = decoded.get(name) ?? new Uint8Array(Buffer.from(gzipped, "base64"));
  decoded.set(name, content);
  return content;
}

/** The bytes for the few clients that take no gzip: kept, as those may read slowly. */
async function plainContentOf(file: InterfaceFile): Promise<Uint8Array> {
  const content = unzipped.get(file.name) ?? (await unzip(contentOf(file)));
  unzipped.set(file.name, content);
  return content;
}

async function unzip(gzipped: Uint8Array): Promise<Uint8Array> {
  const plain = new Blob([gzipped as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}
