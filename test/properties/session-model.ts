/** What an upload session must answer, from its opening to its end, by distribution-spec and docs/design.md. */

import { uploadRange } from "../../src/oci/http.ts";
import { algorithmOf, isDigestOfNothing, parseDigest } from "../../src/oci/reference.ts";
import { digestOf } from "../support/content.ts";
import { readUploadBody, stored } from "./model.ts";
import { type Prediction, refuse } from "./prediction.ts";
import { announcedLength, type RepositoryRequest, sentBody } from "./request.ts";
import type { World } from "./world.ts";

/** A `Location` that the registry gave, and whether it said with it that the upload has accepted bytes. */
export type NamedLocation = { reference: string; isStarted: boolean };

/** A session, as far as its answers depend on it. */
export class Session {
  readonly name: string;
  readonly first: NamedLocation;
  latest: NamedLocation;
  /** The bytes that it has. */
  kept: Uint8Array = new Uint8Array();
  /** `failed`: closed with a digest that is not that of its bytes. They are gone, but one body may still be the blob. */
  #state: "open" | "cancelled" | "failed" | "finished" = "open";
  /** What it finished as, and whether as one body, of which the session itself saw nothing. */
  #digest: string | undefined;
  #wasWhole = false;

  constructor(name: string, reference: string) {
    this.name = name;
    this.first = { reference, isStarted: false };
    this.latest = this.first;
  }

  /** Predicts the answer to a request that names the session by this location. */
  predict(world: World, request: RepositoryRequest, at: NamedLocation): Prediction {
    switch (request.method) {
      case "PATCH":
        return this.#patch(request);
      case "PUT":
        return this.#put(world, request, at);
      case "DELETE":
        return this.#cancel();
      default:
        return this.#status();
    }
  }

  /** Takes note of the location in an answer. */
  moveTo(reference: string, isStarted: boolean): void {
    this.latest = { reference, isStarted };
  }

  #where(): NonNullable<Prediction["headers"]> {
    const location = new RegExp(`^/v2/${this.name}/blobs/uploads/[^/?]+$`);
    return { Location: location, Range: uploadRange(this.kept.byteLength) };
  }

  #status(): Prediction {
    if (this.#state !== "open") return refuse("BLOB_UPLOAD_UNKNOWN");
    return { status: 204, headers: this.#where() };
  }

  #cancel(): Prediction {
    if (this.#state !== "open") return refuse("BLOB_UPLOAD_UNKNOWN");
    this.#state = "cancelled";
    return { status: 204 };
  }

  #patch(request: RepositoryRequest): Prediction {
    const body = readUploadBody(request);
    if (!body.ok) return body.refusal;
    if (this.#state !== "open") return refuse("BLOB_UPLOAD_UNKNOWN");
    return this.#append(request, body) ?? { status: 202, headers: this.#where() };
  }

  /** Takes the bytes of a request; returns the refusal, if there is one. */
  #append(
    request: RepositoryRequest,
    { offset, length }: { offset: number | undefined; length: number | undefined },
  ): Prediction | undefined {
    if (offset !== undefined && offset !== this.kept.byteLength)
      return refuse("BLOB_UPLOAD_RANGE", this.#where());
    const bytes = sentBody(request);
    if (length !== undefined && bytes.byteLength > length) return refuse("SIZE_INVALID");
    // What came is kept, although there should have been more: the client may go on from there.
    this.kept = new Uint8Array([...this.kept, ...bytes]);
    return length === undefined || length === bytes.byteLength ? undefined : refuse("SIZE_INVALID");
  }

  #put(world: World, request: RepositoryRequest, at: NamedLocation): Prediction {
    const digest = parseDigest(new URLSearchParams(request.query).get("digest") ?? "");
    if (digest === undefined) return refuse("DIGEST_INVALID");
    const body = readUploadBody(request);
    if (!body.ok) return body.refusal;
    const length = announcedLength(request);
    const isAll =
      length !== undefined && (length > 0 || isDigestOfNothing(digest)) && (body.offset ?? 0) === 0;
    if (isAll && !at.isStarted) return this.#putWhole(world, digest, sentBody(request));
    if (this.#state !== "open") {
      const isRepeated = this.#digest === digest && !this.#wasWhole;
      return isRepeated ? stored(this.name, digest) : refuse("BLOB_UPLOAD_UNKNOWN");
    }
    const refusal = this.#append(request, body);
    if (refusal !== undefined) return refusal;
    if (digestOf(this.kept, algorithmOf(digest)) !== digest) {
      this.#state = "failed";
      return refuse("DIGEST_INVALID");
    }
    return this.#finish(world, digest, this.kept, false);
  }

  #putWhole(world: World, digest: string, bytes: Uint8Array): Prediction {
    if (digestOf(bytes, digest.startsWith("sha512:") ? "sha512" : "sha256") !== digest)
      return refuse("DIGEST_INVALID");
    if (this.#state === "open" || this.#state === "failed") return this.#finish(world, digest, bytes, true);
    // The bytes are there, for a while, and nobody's.
    world.stored.add(digest);
    return this.#digest === digest ? stored(this.name, digest) : refuse("BLOB_UPLOAD_UNKNOWN");
  }

  #finish(world: World, digest: string, bytes: Uint8Array, wasWhole: boolean): Prediction {
    this.#state = "finished";
    this.#digest = digest;
    this.#wasWhole = wasWhole;
    world.addBlob(this.name, digest, bytes);
    return stored(this.name, digest);
  }
}
