import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request as httpsRequest, type RequestOptions } from "node:https";
import { join } from "node:path";
import test from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { signal } from "../../src/local/processes.ts";
import { startProxy } from "../../src/local/proxy/proxy.ts";
import { readTlsFiles } from "../../src/local/tls-files.ts";
import { afterTest } from "../support/ends.ts";
import { startInstance } from "../support/miniflare/instance.ts";
import { ready, recordedWorkerd, runtimes, startProgram, temporaryDirectory, until } from "./program.ts";
import {
  answerAll,
  type Passed,
  RawClient,
  type Runtime,
  startFrontProcess,
  startUpstream,
  talk,
  untilClosed,
} from "./proxy/support.ts";

const main = join(import.meta.dirname, "fixture-main.ts");
const fixture = (name: string) => join(import.meta.dirname, "tls", name);
const certFile = fixture("localhost.crt");
const keyFile = fixture("localhost.key");
const ca = readFileSync(certFile);
const downloadBytes = 64 * 1024 * 1024;
const tlsFlags = (data: string) => [
  ...["--port", "0", "--data", data],
  ...["--tls-cert", certFile, "--tls-key", keyFile],
];

async function responseTo(url: string, options: RequestOptions = {}): Promise<IncomingMessage> {
  const request = httpsRequest(url, { ca, ...options }).end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return response;
}

async function get(url: string, options: RequestOptions = {}): Promise<string> {
  let text = "";
  for await (const piece of (await responseTo(url, options)).setEncoding("utf8")) text += piece;
  return text;
}

for (const [name, runtime] of Object.entries(runtimes)) {
  test(`${name}: https, and requests in flight finish when it is told to end`, async (t) => {
    const data = temporaryDirectory(t);
    const server = startProgram(t, [...runtime, main, ...tlsFlags(data)], { data });
    const url = await ready(server);
    assert.match(url, /^https:\/\/127\.0\.0\.1:\d+$/);
    assert.equal(JSON.parse(await get(`${url}/settings`)).PUBLIC_SCHEME, "https");

    const restarted = "stowage: workerd was ended by the signal SIGKILL, and was started again\n";
    const workerd = recordedWorkerd(data);
    assert(workerd !== undefined);
    signal(workerd, "SIGKILL");
    await until("the restart", () => server.stderr === restarted);
    assert.equal((JSON.parse(await get(`${url}/json`)) as { text: string }).text.length, 5000);

    const idle = new Agent({ ca, keepAlive: true });
    afterTest(t, () => idle.destroy());
    await get(`${url}/json`, { agent: idle });
    const upload = httpsRequest(`${url}/upload`, { ca, method: "PUT", headers: { "Content-Length": 2000 } });
    const uploaded = once(upload, "response") as Promise<[IncomingMessage]>;
    upload.write("x".repeat(1000));
    const download = await responseTo(`${url}/download`);
    signal(server.pid, "SIGTERM");
    await until("the notice", () => /^stowage: finishing requests in flight, /m.test(server.stderr));
    await assert.rejects(get(`${url}/json`), { code: "ECONNREFUSED" });
    upload.end("x".repeat(1000));
    const [{ statusCode }] = await uploaded;
    let downloaded = 0;
    for await (const piece of download) downloaded += piece.length;
    assert.deepEqual([statusCode, downloaded], [201, downloadBytes]);
    assert.deepEqual(await server.ended, { code: 0, signal: null });
  });
}

test("a client that reads nothing is cut off in the end", async (t) => {
  const data = temporaryDirectory(t);
  const env = { TEST_DRAIN_MS: "50" };
  const server = startProgram(t, [...runtimes.node, main, ...tlsFlags(data)], { data, env });
  const download = await responseTo(`${await ready(server)}/download`);
  const broken = once(download, "error");
  signal(server.pid, "SIGTERM");
  assert.deepEqual(await server.ended, { code: 0, signal: null });
  assert.equal(server.stderr, "stowage: requests that were still in flight have been cut off\n");
  download.resume();
  await broken;
});

test("clients are sent to get tokens where they came from", async () => {
  await using registry = await startInstance({
    vars: { ADMIN_PASSWORD: "a secret of the server", PUBLIC_SCHEME: "https" },
  });
  const challenge = (await fetch(`${registry.url}/v2/`)).headers.get("WWW-Authenticate");
  assert.equal(challenge, `Bearer realm="https://${new URL(registry.url).host}/token",service="stowage"`);
});

/** A reverse proxy with TLS of its own, before a server that does as it is told. */
async function proxyOf(t: test.TestContext, onData: (passed: Passed) => void) {
  const { path, passed } = await startUpstream(t, onData);
  const identity = readTlsFiles({ certFile, keyFile });
  const proxy = await startProxy({ identity, host: "127.0.0.1", port: 0, upstream: { path } });
  afterTest(t, () => proxy.stopListening());
  return { proxy, port: proxy.port, passed };
}

test("a client that ends its side first gets its answer; HTTP/1.1 is all that is agreed on", async (t) => {
  const { port } = await proxyOf(t, answerAll);
  const options = { port, host: "127.0.0.1", ca, ALPNProtocols: ["h2", "http/1.1"], allowHalfOpen: true };
  const client = connectTls(options);
  client.end("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  let answer = "";
  for await (const piece of client.setEncoding("utf8")) answer += piece;
  assert.match(answer, /\r\n\r\nanswer$/);
  assert.equal(client.alpnProtocol, "http/1.1");
});

for (const runtime of Object.keys(runtimes) as Runtime[]) {
  test(`${runtime}: what is not TLS is told so, in plain text`, async (t) => {
    const { path, passed } = await startUpstream(t, answerAll);
    const tls = { certFile, keyFile };
    const { port } = await startFrontProcess(t, runtime, { upstream: { path }, tls });
    const plain = await talk(port, "GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n", untilClosed);
    assert.match(plain, /^HTTP\/1\.0 400 Bad Request\r\n.*speaks HTTPS, and was asked for HTTP\.\n$/s);
    assert.equal(passed.length, 0);
  });
}

test("who begins no handshake, or does not go on with it, is cut off", async (t) => {
  const { path } = await startUpstream(t, answerAll);
  const more = { tls: { certFile, keyFile }, limits: { headersMs: 500, sweepMs: 100 } };
  const handshake = 0x16;
  for (const runtime of Object.keys(runtimes) as Runtime[]) {
    const { port } = await startFrontProcess(t, runtime, { upstream: { path }, ...more });
    for (const begun of [[], [handshake]]) {
      const client = new RawClient(port);
      client.write(Uint8Array.from(begun));
      await until("the end", () => client.isClosed);
    }
  }
});

test("a new certificate counts for new connections, and those there are go on", async (t) => {
  const { proxy, port } = await proxyOf(t, answerAll);
  const agent = new Agent({ ca, keepAlive: true, maxSockets: 1 });
  afterTest(t, () => agent.destroy());
  const host = { host: "127.0.0.1", port, agent };
  const fingerprint = async (options: RequestOptions) => {
    const response = await responseTo(`https://127.0.0.1:${port}/`, options);
    const socket = response.socket as TLSSocket;
    const seen = [socket.localPort, socket.getPeerCertificate().fingerprint256];
    response.resume();
    await once(response, "end");
    return seen;
  };
  const before = await fingerprint(host);
  assert.throws(() => proxy.renew({ cert: "none", key: "none" }));
  proxy.renew(readTlsFiles({ certFile: fixture("renewed.crt"), keyFile }));
  assert.deepEqual(await fingerprint(host), before, "the connection goes on");
  const [, after] = await fingerprint({ rejectUnauthorized: false });
  assert.notEqual(after, before[1]);
});

test("a certificate that cannot be used is explained in a sentence", async (t) => {
  const directory = temporaryDirectory(t);
  const broken = (name: string, label: string) => {
    const file = join(directory, name);
    writeFileSync(file, `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`);
    return file;
  };
  const cases: [cert: string, key: string, message: RegExp][] = [
    [fixture("none"), keyFile, /^the file of --tls-cert cannot be read: ENOENT/],
    [certFile, directory, /^the file of --tls-key cannot be read: /],
    [keyFile, keyFile, /localhost\.key holds no certificate in PEM$/],
    [certFile, certFile, /localhost\.crt holds no private key in PEM$/],
    [broken("a.crt", "CERTIFICATE"), keyFile, /^the certificate in .*a\.crt cannot be read: /],
    [certFile, broken("a.key", "PRIVATE KEY"), /^the key in .*a\.key cannot be read: /],
    [certFile, broken("b.key", "ENCRYPTED PRIVATE KEY"), /has a passphrase, /],
    [certFile, fixture("other.key"), /other\.key is not that of the certificate .*localhost\.crt$/],
  ];
  for (const [cert, key, message] of cases) {
    assert.throws(() => readTlsFiles({ certFile: cert, keyFile: key }), { name: "TlsFilesError", message });
  }
  const at = (year: number) => readTlsFiles({ certFile, keyFile }, Date.UTC(year, 0)).warning ?? "";
  assert.match(at(2020), /is not valid before /);
  assert.equal(at(2030), "");
  assert.match(at(2200), / has expired: /);

  const flags = [
    "--port",
    "0",
    "--data",
    directory,
    "--tls-cert",
    certFile,
    "--tls-key",
    fixture("other.key"),
  ];
  for (const runtime of Object.values(runtimes)) {
    const server = startProgram(t, [...runtime, main, ...flags]);
    assert.deepEqual(await server.ended, { code: 1, signal: null });
    assert.match(server.stderr, /^stowage: the key [^\n]+ is not that of the certificate [^\n]+\n$/);
  }
});

async function serialNumberOf(port: string): Promise<string> {
  const socket = connectTls({ port: Number(port), host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

/** A server that goes on with its start, once it has read its certificate, when a file is there. */
const startWhenTold = `
  const { existsSync } = await import("node:fs");
  const { setTimeout } = await import("node:timers/promises");
  const [run, program, worker, told, ...flags] = process.argv.slice(2);
  const compile = async () => {
    console.log("certificate read");
    while (!existsSync(told)) await setTimeout(10);
    return (await import(program)).compileProgram(worker);
  };
  await (await import(run)).run(flags, { program: compile });
`;

test("a certificate that is replaced while the server starts is the one that it serves", async (t) => {
  const folder = temporaryDirectory(t);
  const [data, script, told] = [join(folder, "data"), join(folder, "start.mjs"), join(folder, "told")];
  const [cert, key] = [join(folder, "server.crt"), join(folder, "server.key")];
  writeFileSync(script, startWhenTold);
  copyFileSync(certFile, cert);
  copyFileSync(keyFile, key);
  const modules = ["run.ts", "workerd/program.ts"].map((name) =>
    import.meta.resolve(`../../src/local/${name}`),
  );
  const flags = ["--port", "0", "--data", data, "--tls-cert", cert, "--tls-key", key];
  const worker = join(import.meta.dirname, "fixture-worker.ts");
  const server = startProgram(t, [...runtimes.node, script, ...modules, worker, told, ...flags], { data });
  await until("the start", () => server.stdout.includes("certificate read"));
  copyFileSync(fixture("renewed.crt"), cert);
  signal(server.pid, "SIGHUP");
  writeFileSync(told, "");
  const { port } = new URL(await ready(server));
  await until("the certificate", () => /^stowage: the certificate was read again/m.test(server.stderr));
  const { serialNumber } = new X509Certificate(readFileSync(cert));
  assert.equal(await serialNumberOf(port), serialNumber);
});

test("SIGHUP has the certificate read again, and one that cannot be used leaves the old one", async (t) => {
  const folder = temporaryDirectory(t);
  const data = join(folder, "data");
  const [cert, key] = [join(folder, "server.crt"), join(folder, "server.key")];
  copyFileSync(certFile, cert);
  copyFileSync(keyFile, key);
  const flags = ["--port", "0", "--data", data, "--tls-cert", cert, "--tls-key", key];
  const server = startProgram(t, [...runtimes.node, main, ...flags], { data });
  const { port } = new URL(await ready(server));
  const serialNumber = () => serialNumberOf(port);
  const before = await serialNumber();
  const kept = new Agent({ keepAlive: true, rejectUnauthorized: false });
  afterTest(t, () => kept.destroy());
  await get(`https://127.0.0.1:${port}/json`, { agent: kept });

  copyFileSync(fixture("renewed.crt"), cert);
  signal(server.pid, "SIGHUP");
  await until("the certificate", () => /^stowage: the certificate was read again/m.test(server.stderr));
  const after = await serialNumber();
  assert.notEqual(after, before);

  writeFileSync(cert, "no certificate");
  signal(server.pid, "SIGHUP");
  await until("the refusal", () => /^stowage: the certificate stays what it was: .+/m.test(server.stderr));
  assert.equal(await serialNumber(), after);
  await get(`https://127.0.0.1:${port}/json`, { agent: kept });
});
