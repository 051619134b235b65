/**
 * `fetch` as Node and Deno have it, prepared for large bodies, and told whom to trust. What is here is for those
 * runtimes alone; a Worker uses its own `fetch` as it is.
 */
import tls from "node:tls";
import { RegistryError } from "./errors.ts";
import type { Fetch } from "./exchange.ts";

/** Smaller bodies are copied without harm. */
const streamedFromBytes = 256 * 1024;
const pieceBytes = 1024 * 1024;

/** What connections over TLS trust. `ca`: certificates in PEM, beside those that the runtime has. */
export type TlsOptions = { ca?: string | undefined };

type Deno = { createHttpClient(options: { caCerts: string[] }): object };

const deno = (globalThis as { Deno?: Deno }).Deno;

/**
 * Makes a `fetch` for this process. In Node, the certificates count for all that it connects to from then on.
 *
 * @throws RegistryError if there are certificates, and this Node cannot be told of them
 */
export function systemFetch({ ca }: TlsOptions = {}): Fetch {
  if (deno !== undefined) {
    const more = ca === undefined ? {} : { client: deno.createHttpClient({ caCerts: [ca] }) };
    return (url, init) => fetch(url, { ...init, ...more });
  }
  if (ca !== undefined) trust(ca);
  return (url, init) => fetch(url, withStream(init));
}

function trust(ca: string): void {
  // Node has it since 22.19.
  if (!("setDefaultCACertificates" in tls)) {
    throw new RegistryError(
      "unreachable",
      "this Node takes no more certificates while it runs: name their file in NODE_EXTRA_CA_CERTS instead of --ca",
    );
  }
  tls.setDefaultCACertificates([...tls.getCACertificates("default"), ca]);
}

/**
 * Has Node read a large body as it is sent. As bytes it would be copied first, and its sending would count as silence:
 * five minutes of that end a request, which is less than a chunk takes on a slow line.
 */
function withStream(init: RequestInit): RequestInit {
  const { body } = init;
  if (!(body instanceof Uint8Array) || body.byteLength < streamedFromBytes) return init;
  return {
    ...init,
    headers: { ...(init.headers as Record<string, string>), "Content-Length": String(body.byteLength) },
    body: streamOf(body),
    // Node refuses to show the answer 401 of a request whose body it could not send again, unless it is told that there
    // are no credentials of its own to send then.
    ...{ duplex: "half", credentials: "omit" },
  };
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (offset >= bytes.byteLength) return controller.close();
        controller.enqueue(bytes.subarray(offset, offset + pieceBytes));
        offset += pieceBytes;
      },
    },
    { highWaterMark: 0 },
  );
}
