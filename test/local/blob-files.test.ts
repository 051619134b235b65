/** Large blobs of the local server, whose files the reverse proxy sends: what clients get, and cannot have it send. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync, rmSync, statSync, truncateSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import test, { type TestContext } from "node:test";
import { Client } from "../support/client.ts";
import { content, digestOf, mebibyte } from "../support/content.ts";
import { ScriptedUpstream } from "../support/upstream.ts";
import { ready, runtimes, startProgram, temporaryDirectory, until } from "./program.ts";

const main = join(import.meta.dirname, "..", "..", "src", "local", "main.ts");
const repository = "team/app";
const blobOf = (bytes: Uint8Array, name = repository) => `/v2/${name}/blobs/${digestOf(bytes)}`;

async function start(t: TestContext, runtime: keyof typeof runtimes, ...flags: string[]) {
  const data = temporaryDirectory(t);
  const command = [...runtimes[runtime], main, "--port", "0", "--data", data, "--log", "json", ...flags];
  const program = startProgram(t, command, { data });
  return { client: new Client(await ready(program)), files: join(data, "files"), data, program };
}

/** Pushes a blob in files of so many bytes. */
async function pushParts(client: Client, bytes: Uint8Array, partBytes: number): Promise<void> {
  let location = await client.openUpload(repository);
  for (let at = 0; at < bytes.byteLength; at += partBytes)
    location = await client.patch(location, bytes.subarray(at, at + partBytes));
  await client.must(201, "PUT", `${location}?digest=${digestOf(bytes)}`);
}

/** The paths of the files that have bytes of blobs. */
function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name !== "index");
  return files.map(({ parentPath, name }) => join(parentPath, name));
}

/** The files that came into a folder meanwhile. */
async function filesOf(folder: string, work: () => Promise<unknown>): Promise<string[]> {
  const before = new Set(filesBelow(folder));
  await work();
  return filesBelow(folder).filter((path) => !before.has(path));
}

function hasOpen(pid: number, file: string): boolean {
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === file;
    } catch {
      return false;
    }
  });
}

for (const runtime of Object.keys(runtimes) as (keyof typeof runtimes)[]) {
  test(`large blobs under ${runtime}`, async (t) => {
    const upstream = await ScriptedUpstream.start();
    const { client, files, program, data } = await start(
      t,
      runtime,
      "--var",
      `UPSTREAMS=${upstream.settings()}`,
    );

    await t.test("come whole and in ranges, with the same headers, of one file and of several", async () => {
      const whole = content(3 * mebibyte);
      const parted = content(5 * mebibyte);
      await client.pushBlob(repository, whole);
      await pushParts(client, parted, 2 * mebibyte);
      for (const bytes of [whole, parted]) {
        const path = blobOf(bytes);
        const size = bytes.byteLength;
        const all = await client.must(200, "GET", path);
        assert.deepEqual(all.bytes, bytes);
        const managed = `/api/v1/repositories/${repository}/blobs/${digestOf(bytes)}/content`;
        assert.deepEqual((await client.must(200, "GET", managed)).bytes, bytes);
        const head = await client.must(200, "HEAD", path);
        for (const name of ["Content-Length", "ETag", "Accept-Ranges", "Content-Type", "Cache-Control"])
          assert.equal(all.header(name), head.header(name), name);
        for (const [from, to] of [
          [1, mebibyte + 1],
          [mebibyte, 3 * mebibyte - 1],
          [size - mebibyte, size - 1],
          [5, 9],
        ] as const) {
          const part = await client.must(206, "GET", path, { headers: { Range: `bytes=${from}-${to}` } });
          assert.deepEqual(part.bytes, bytes.subarray(from, to + 1));
          assert.equal(part.header("Content-Range"), `bytes ${from}-${to}/${size}`);
          assert.equal(part.header("Content-Length"), String(to - from + 1));
        }
      }
    });

    await t.test("are counted and logged as what clients get", async () => {
      const bytes = content(2 * mebibyte + 1);
      await client.pushBlob(repository, bytes);
      const served = async () => {
        const metrics = (await client.must(200, "GET", "/metrics")).text;
        return Number(/^stowage_response_bytes_total\{route="blob"\} (\d+)$/m.exec(metrics)?.[1]);
      };
      const before = await served();
      await client.must(200, "GET", blobOf(bytes));
      assert.equal((await served()) - before, bytes.byteLength);
      const line = await until("the line of the log", () =>
        program.stdout
          .split("\n")
          .find((each) => each.includes(digestOf(bytes)) && each.includes('"method":"GET"')),
      );
      assert.equal(JSON.parse(line).bytesOut, bytes.byteLength);
    });

    await t.test("are read by the server itself, and not by workerd", async () => {
      const bytes = content(32 * mebibyte);
      const [file = ""] = await filesOf(files, () => client.pushBlob(repository, bytes));
      const request = httpRequest(client.url + blobOf(bytes), { agent: false }).end();
      const [response] = (await once(request, "response")) as [IncomingMessage];
      assert.equal(hasOpen(program.pid, file), true);
      assert.equal(hasOpen(Number(readFileSync(join(data, "workerd.pid"), "utf8")), file), false);
      response.destroy();
      await until("that it is closed", () => !hasOpen(program.pid, file));
    });

    await t.test(
      "never come short: without their file it is 503, and without a later one it breaks off",
      async () => {
        const [gone, short, parted] = [content(2 * mebibyte), content(3 * mebibyte), content(4 * mebibyte)];
        const [goneFile = ""] = await filesOf(files, () => client.pushBlob(repository, gone));
        rmSync(goneFile);
        const [shortFile = ""] = await filesOf(files, () => client.pushBlob(repository, short));
        truncateSync(shortFile, mebibyte);
        for (const bytes of [gone, short]) {
          const answer = await client.must(503, "GET", blobOf(bytes));
          assert.match(answer.text, /UNAVAILABLE/);
        }
        const parts = await filesOf(files, () => pushParts(client, parted, 3 * mebibyte));
        const second = parts.find((path) => statSync(path).size === mebibyte) ?? "";
        rmSync(second);
        await assert.rejects(client.send("GET", blobOf(parted)), { code: "ECONNRESET" });
      },
    );

    await t.test("come from an upstream to all who wait, join late or read slowly", async () => {
      const bytes = content(64 * mebibyte);
      upstream.addBlob("cold", bytes);
      const path = blobOf(bytes, "up/cold");
      const slow = httpRequest(client.url + path, { agent: false }).end();
      const [unread] = (await once(slow, "response")) as [IncomingMessage];
      const answers = await Promise.all([1, 2, 3].map(() => client.must(200, "GET", path)));
      for (const answer of answers) {
        assert.equal(digestOf(answer.bytes), digestOf(bytes));
        assert.equal(answer.header("Content-Length"), String(bytes.byteLength));
      }
      assert.equal(digestOf(await buffer(unread)), digestOf(bytes));
      assert.equal(upstream.count("GET", new RegExp(digestOf(bytes))), 1);
    });

    await t.test("break off before their end if what comes has another digest", async () => {
      const bytes = content(64 * mebibyte);
      upstream.addBlob("wrong", bytes);
      const wrong = Uint8Array.from(bytes);
      wrong.fill(0, 1000, 1010);
      upstream.script("GET", new RegExp(digestOf(bytes)), (seen, response) =>
        upstream.sendBlob(seen, response, wrong),
      );
      const asked = httpRequest(client.url + blobOf(bytes, "up/wrong"), { agent: false }).end();
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      let received = 0;
      await assert.rejects(
        (async () => {
          for await (const piece of response) received += piece.length;
        })(),
        /aborted/,
      );
      assert(received <= bytes.byteLength - 64 * 1024, `${received} bytes came`);
    });

    await t.test("come only to who may have them, whatever headers clients and upstreams send", async () => {
      const secret = content(2 * mebibyte);
      const [file = ""] = await filesOf(files, () => client.pushBlob(repository, secret));
      const path = file.slice(files.length + 1);
      const range = { path, sizeBytes: secret.byteLength, range: { offset: 0, length: secret.byteLength } };
      const list = new TextEncoder().encode(JSON.stringify([range]));
      const forged = { "Stowage-Files": String(secret.byteLength) };

      const asked = await client.must(200, "GET", blobOf(secret), { headers: forged });
      assert.deepEqual(asked.bytes, secret);
      for (const [name, headers, status] of [
        ["whole", {}, 200],
        ["range", { Range: `bytes=0-${list.byteLength - 1}` }, 206],
      ] as const) {
        const blob = new RegExp(`/blobs/${digestOf(list)}$`);
        upstream.addBlob(name, list);
        upstream.script("GET", blob, (seen, response) => {
          for (const [header, value] of Object.entries(forged)) response.setHeader(header, value);
          return upstream.sendBlob(seen, response, list);
        });
        const answer = await client.must(status, "GET", blobOf(list, `up/${name}`), { headers });
        assert.deepEqual(answer.bytes, list);
        assert.equal(answer.headers.get("Stowage-Files"), null);
      }
    });
  });
}
