import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { Client } from "../support/client.ts";
import { content, digestOf } from "../support/content.ts";
import { ready, runtimes, startProgram, temporaryDirectory } from "./program.ts";

const main = join(import.meta.dirname, "..", "..", "src", "local", "main.ts");

for (const runtime of Object.keys(runtimes) as (keyof typeof runtimes)[]) {
  test(`with 300 file descriptors ${runtime} sheds pushes, and takes others after it`, async (t) => {
    const data = temporaryDirectory(t);
    const command = [...runtimes[runtime], main, "--port", "0", "--data", data, "--log", "none"];
    const limited = ["sh", "-c", 'ulimit -n 300 && exec "$@"', "sh", ...command];
    const client = new Client(await ready(startProgram(t, limited, { data })));
    const push = async () => {
      const bytes = content(10_000);
      const path = `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
      // Of the connections that are too many, most are closed untold.
      const headers = { Connection: "close" };
      return client.send("POST", path, { body: bytes, headers }).then(
        ({ status }) => status,
        () => 503,
      );
    };
    for (let round = 0; round < 2; round++) {
      const statuses = await Promise.all(Array.from({ length: 250 }, push));
      assert(statuses.filter((status) => status === 201).length > 10, String(statuses));
      assert.deepEqual(
        statuses.filter((status) => status !== 201 && status !== 503),
        [],
      );
    }
    assert.equal(await push(), 201);
  });
}
