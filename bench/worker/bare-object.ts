/** A Durable Object that does nothing but write what it is sent. */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../../src/bindings.ts";

/** The registry's bindings, and the bare object's. */
export interface BenchEnv extends Env {
  BARE_OBJECT: DurableObjectNamespace<BareObject>;
}

const partBytes = 5 * 1024 * 1024;

/** Writes a body to the bucket, part by part, and keeps nothing. */
export class BareObject extends DurableObject<BenchEnv> {
  override async fetch(request: Request): Promise<Response> {
    const key = `bench${new URL(request.url).pathname}`;
    const upload = await this.env.BLOBS.createMultipartUpload(key);
    const reader = (request.body ?? new Blob([]).stream()).getReader({ mode: "byob" });
    const parts: R2UploadedPart[] = [];
    let buffer = new Uint8Array(partBytes);
    for (let isDone = false; !isDone; ) {
      const read = await reader.readAtLeast(partBytes, buffer);
      isDone = read.done || (read.value?.byteLength ?? 0) < partBytes;
      if (read.value === undefined) break;
      if (read.value.byteLength > 0) parts.push(await upload.uploadPart(parts.length + 1, read.value));
      buffer = new Uint8Array(read.value.buffer as ArrayBuffer, 0, partBytes);
    }
    await upload.complete(parts);
    return new Response(null, { status: 201 });
  }
}
