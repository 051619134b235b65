/** How the proxy handles each request. */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { minChunkBytes } from "../../client/upload.ts";
import type { Addresses } from "./addresses.ts";
import { Caller } from "./caller.ts";
import { refusedOrigin } from "./guard.ts";
import { type UploadParts, UploadRequest } from "./upload.ts";

/** The largest body that is passed on as one, and is none of an upload: a manifest has 4 MiB at most. */
const maxPassedBytes = 16 * 1024 * 1024;

/** The parts of a proxy. */
export type ProxyOptions = UploadParts & {
  addresses: Addresses;
  /** Whether it shows credentials of its own for clients that bring none. */
  hasCredentials: boolean;
  /** Whether other machines reach it. */
  isRemote: boolean;
  /** The scheme by which clients reach it. */
  scheme: "http" | "https";
};

/** Passes requests on to one registry. */
export class RegistryProxy {
  readonly #options: ProxyOptions;

  constructor(options: ProxyOptions) {
    this.#options = options;
  }

  /** Answers a request; does not fail. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { addresses, hasCredentials, isRemote, scheme, note } = this.#options;
    const own = `${scheme}://${request.headers.host ?? ""}`;
    const caller = new Caller(request, response, addresses, own, hasCredentials);
    try {
      const why = refusedOrigin(request.headers, isRemote);
      if (why !== undefined) return await caller.refuse({ status: 403, code: "DENIED", message: why });
      if (!addresses.isOfApi(caller.address)) {
        const message = "there is nothing here but /v2/";
        return await caller.refuse({ status: 404, code: "UNSUPPORTED", message });
      }
      if (bringsBytes(caller)) await new UploadRequest(this.#options, caller).run();
      else await this.#pass(caller);
    } catch (error) {
      if (caller.signal.aborted) return;
      await caller.fail(error).catch((failure: unknown) => {
        note(`a request failed: ${failure instanceof Error ? failure.message : failure}`);
        caller.abandon();
      });
    }
  }

  /** Passes a request on as it is, and its answer back. */
  async #pass(caller: Caller): Promise<void> {
    const { transport, known } = this.#options;
    const { method, address, headers, scopes, authorization, signal } = caller;
    const { announcedBytes = maxPassedBytes } = caller.body;
    let body: Buffer | undefined;
    if (announcedBytes > 0) {
      caller.welcomeBody();
      const piece =
        announcedBytes > maxPassedBytes
          ? undefined
          : await caller.body.fill(Buffer.allocUnsafe(Math.min(announcedBytes + 1, maxPassedBytes)));
      if (piece?.isLast !== true) {
        const message = `a body of more than ${maxPassedBytes} bytes goes to uploads alone`;
        return await caller.refuse({ status: 413, code: "SIZE_INVALID", message });
      }
      body = piece.bytes;
    }
    const isUpload = isUploadRoute(address);
    const answer = await transport.send({
      method,
      target: address,
      headers,
      scopes,
      authorization,
      signal,
      body,
      isPassedOn: true,
      isRepeatable: method === "GET" || method === "HEAD" || (method === "POST" && isUpload),
    });
    if (isUpload) this.#remember(caller, answer);
    if (method === "DELETE" && isUpload) known.take(address)?.layer?.failed("given up by the client");
    await caller.relay(answer);
  }

  /** Records the offset of an upload that was opened or checked. */
  #remember({ method, address }: Caller, answer: Response): void {
    const { transport, known, buffers } = this.#options;
    const given = answer.headers.get("Location");
    if (given === null) return;
    const location = transport.resolve(given, address);
    if (method === "POST" && answer.status === 202) {
      buffers.growTo(minChunkBytes(answer));
      known.keep(location, { offset: 0, hash: createHash("sha256"), isCut: false, layer: undefined });
    } else if (method === "GET" && answer.status === 204) {
      const upload = known.take(address);
      if (upload !== undefined) known.keep(location, upload);
    }
  }
}

function isUploadRoute({ pathname }: URL): boolean {
  return /\/v2\/.+\/blobs\/uploads(?:\/|$)/.test(pathname);
}

/** Whether a request is one of those whose body may be too large for one request to the registry. */
function bringsBytes(caller: Caller): boolean {
  if (!isUploadRoute(caller.address)) return false;
  const { announcedBytes } = caller.body;
  if (caller.method === "PATCH") return announcedBytes !== 0;
  if (caller.query("digest") === undefined) return false;
  return caller.method === "PUT" || (caller.method === "POST" && announcedBytes !== 0);
}
