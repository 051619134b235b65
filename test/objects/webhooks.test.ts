import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { fetchOnce } from "../support/client.ts";
import { configType, content, digestOf, encode, imageIndex, layerType } from "../support/content.ts";
import { until } from "../support/registry.ts";
import { accept, type Behaviour, type Received, type Sink, startSink } from "../support/sink.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";

const publicUrl = "https://registry.example.com:8443";
const vars = {
  EVENT_QUIET: "0s",
  WEBHOOK_ALLOW_PRIVATE: "yes",
  WEBHOOK_TIMEOUT: "3s",
  PUBLIC_URL: `${publicUrl}/`,
};
const { registry, advance, runAlarm } = await startTimedRegistry({ vars });
const webhooksPath = "/api/v1/webhooks";

type Webhook = { id: string; secret?: string; waiting?: number; deadLetters?: number };
type Delivery = { event: string; outcome: string; attempt: number; status?: number; error?: string };
type DeadLetter = { event: string; type: string; repository: string; attempts: number; reason: string };
type DistributionEvent = {
  id: string;
  timestamp: string;
  action: string;
  target: Record<string, unknown>;
  request: Record<string, string>;
  actor: { name: string };
  source: Record<string, string>;
};

async function createWebhook(sink: Sink, repository: string, more: object = {}): Promise<Webhook> {
  const events = ["manifest.push", "manifest.delete", "tag.delete", "blob.push", "blob.mount", "blob.delete"];
  const body = encode({ url: sink.url, events, repository, ...more });
  return (await registry.must(201, "POST", webhooksPath, { body })).json();
}

/** Hands over what the ledger has to tell, without waiting for its alarm; `afterMs` passes before. */
async function tell(repository: string, afterMs = 1000): Promise<void> {
  await advance(afterMs);
  await runAlarm("LEDGERS", repository);
}

const pushIndex = (repository: string, tag: string, id: unknown) =>
  registry.pushManifest(repository, tag, imageIndex([], { annotations: { id: String(id) } }), imageIndexType);

function distributionEvents({ received }: Sink): DistributionEvent[] {
  return received.flatMap(({ body }) => JSON.parse(body).events);
}

const received = (sink: Sink, count: number) => until(`${count} events`, () => sink.received.length >= count);

async function getWebhook(id: string): Promise<Webhook> {
  return (await registry.must(200, "GET", `${webhooksPath}/${id}`)).json();
}

async function deadLettersOf(id: string): Promise<DeadLetter[]> {
  const answer = await registry.must(200, "GET", `${webhooksPath}/${id}/dead-letters`);
  return answer.json<{ deadLetters: DeadLetter[] }>().deadLetters;
}

/** The status of an answer that is problem details, or may be. */
async function statusOf(method: string, path: string): Promise<number> {
  const response = await fetchOnce(registry.url + path, { method });
  await response.body?.cancel();
  return response.status;
}

function checkSignature({ headers, body }: Received, secret: string): void {
  const [, time, mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["stowage-signature"])) ?? [];
  assert.equal(mac, createHmac("sha256", secret).update(`${time}.${body}`).digest("hex"));
}

test("a pushed image is told in distribution's own fields, one by one, and signed", async () => {
  const sink = await startSink();
  const headers = { Authorization: "Bearer listener" };
  const { secret } = await createWebhook(sink, "team/*", { headers });
  assert(secret !== undefined);
  const layer = content();
  const pushed = await registry.pushImage("team/app", "latest", [layer]);
  await registry.pushImage("elsewhere", "latest");
  await tell("team/app");
  await tell("elsewhere");
  const isAbout = (event: DistributionEvent) => event.target.digest === pushed.digest;
  await until("the push of the manifest", () => distributionEvents(sink).some(isAbout));
  assert(distributionEvents(sink).every(({ target }) => target.repository === "team/app"));
  for (const each of sink.received) {
    checkSignature(each, secret);
    assert.equal(each.headers["content-type"], "application/vnd.docker.distribution.events.v2+json");
    assert.equal(each.headers.authorization, "Bearer listener");
    const { id } = JSON.parse(each.body).events[0];
    assert.equal(each.headers["stowage-event-id"], id);
  }
  const event = distributionEvents(sink).find(isAbout);
  assert(event !== undefined);
  const { id, timestamp, action, target, request, actor, source } = event;
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.equal(new Date(timestamp).toISOString(), timestamp);
  assert.equal(action, "push");
  const size = pushed.manifest.byteLength;
  const references = [
    { mediaType: configType, digest: pushed.config, size: 100 },
    { mediaType: layerType, digest: digestOf(layer), size: 100 },
  ];
  assert.deepEqual(target, {
    mediaType: imageManifestType,
    size,
    length: size,
    digest: pushed.digest,
    repository: "team/app",
    url: `${publicUrl}/v2/team/app/manifests/${pushed.digest}`,
    tag: "latest",
    references,
  });
  const { host } = new URL(publicUrl);
  assert.match(request.id ?? "", /^[0-9a-f-]{36}$/);
  assert.deepEqual(request, { id: request.id, addr: "unknown", host, method: "PUT", useragent: "" });
  assert.deepEqual(actor, { name: "anonymous" });
  assert.match(source.instanceID ?? "", /^[0-9a-f-]{36}$/);
  assert.deepEqual(source, { addr: host, instanceID: source.instanceID });

  const blob = distributionEvents(sink).find((each) => each.target.digest === pushed.config);
  assert.equal(blob?.action, "push");
  assert.deepEqual(blob?.target, {
    mediaType: "application/octet-stream",
    size: 100,
    length: 100,
    digest: pushed.config,
    repository: "team/app",
    url: `${publicUrl}/v2/team/app/blobs/${pushed.config}`,
  });
});

test("an event names no host that its pusher chose, and none where none is set", async () => {
  const unset = await startTimedRegistry({ vars: { ...vars, PUBLIC_URL: "", TRUST_FORWARDED: "yes" } });
  for (const [timed, url, host] of [
    [{ registry, advance, runAlarm }, publicUrl, new URL(publicUrl).host],
    [unset, undefined, ""],
  ] as const) {
    const sinks = { distribution: await startSink(), cloudevents: await startSink() };
    for (const [format, sink] of Object.entries(sinks)) {
      const body = encode({ url: sink.url, events: ["manifest.push"], repository: "hosts", format });
      await timed.registry.must(201, "POST", webhooksPath, { body });
    }
    const pushed = await timed.registry.send("PUT", "/v2/hosts/manifests/v1", {
      headers: {
        Host: "evil.localhost",
        "X-Forwarded-Host": "other.localhost",
        "X-Forwarded-Proto": "https",
        "Content-Type": imageIndexType,
      },
      body: imageIndex([]),
    });
    assert.equal(pushed.status, 201, pushed.text);
    await timed.advance(1000);
    await timed.runAlarm("LEDGERS", "hosts");
    await received(sinks.distribution, 1);
    await received(sinks.cloudevents, 1);
    const [event] = distributionEvents(sinks.distribution);
    assert.deepEqual([event?.request.host, event?.source.addr], [host, host]);
    const target = url && `${url}/v2/hosts/manifests/${pushed.header("Docker-Content-Digest")}`;
    assert.equal(event?.target.url, target);
    const cloud = JSON.parse(sinks.cloudevents.received[0]?.body ?? "");
    assert.equal(cloud.source, `${url ?? ""}/v2/hosts`);
    assert.deepEqual([cloud.data.request.host, cloud.data.source.address], [host, host]);
    assert.equal(cloud.data.url, target);
    for (const { received } of Object.values(sinks)) {
      assert.doesNotMatch(received[0]?.body ?? "", /evil|other\.localhost/);
    }
  }
});

test("mounts, streamed blobs and deletions are told as distribution tells them", async () => {
  const sink = await startSink();
  await createWebhook(sink, "copies/**");
  const streamed = await registry.streamBlob("copies/a", content());
  await registry.must(201, "POST", `/v2/copies/b/blobs/uploads/?mount=${streamed}&from=copies/a`);
  const digest = await pushIndex("copies/b", "old", 1);
  await registry.must(202, "DELETE", `/v2/copies/b/manifests/old`);
  await registry.must(202, "DELETE", `/v2/copies/b/manifests/${digest}`);
  await registry.must(202, "DELETE", `/v2/copies/b/blobs/${streamed}`);
  await tell("copies/a");
  await tell("copies/b");
  await received(sink, 6);
  const told = (repository: string) =>
    distributionEvents(sink)
      .filter(({ target }) => target.repository === repository)
      .map(({ action, target }) => [action, target.digest, target.tag, target.fromRepository]);
  assert.deepEqual(told("copies/a")[0], ["push", streamed, undefined, undefined]);
  assert.deepEqual(told("copies/b"), [
    ["mount", streamed, undefined, "copies/a"],
    ["push", digest, "old", undefined],
    ["delete", undefined, "old", undefined],
    ["delete", digest, undefined, undefined],
    ["delete", streamed, undefined, undefined],
  ]);
});

test("CloudEvents tell of tags, and of repositories as wholes", async () => {
  const sink = await startSink();
  const events = [
    "tag.create",
    "tag.move",
    "repository.create",
    "repository.delete",
    "repository.visibility",
  ];
  await createWebhook(sink, "clouds", { events, format: "cloudevents" });
  const [first, second] = [await pushIndex("clouds", "v1", 1), await pushIndex("clouds", "v1", 2)];
  await registry.must(200, "PATCH", "/api/v1/repositories/clouds", {
    body: encode({ visibility: "public" }),
  });
  await registry.must(200, "PATCH", "/api/v1/repositories/clouds", { body: encode({ description: "x" }) });
  await registry.must(202, "DELETE", "/api/v1/repositories/clouds");
  await tell("clouds");
  await received(sink, 5);
  const told = sink.received.map(({ body }) => JSON.parse(body));
  assert.deepEqual(
    told.map(({ type, subject, data }) => [type, subject, data.digest, data.previousDigest, data.visibility]),
    [
      ["stowage.repository.create", undefined, undefined, undefined, undefined],
      ["stowage.tag.create", "v1", first, undefined, undefined],
      ["stowage.tag.move", "v1", second, first, undefined],
      ["stowage.repository.visibility", undefined, undefined, undefined, "public"],
      ["stowage.repository.delete", undefined, undefined, undefined, undefined],
    ],
  );
  for (const [index, { specversion, id, source, time, datacontenttype }] of told.entries()) {
    assert.deepEqual([specversion, datacontenttype], ["1.0", "application/json"]);
    assert.equal(source, `${publicUrl}/v2/clouds`);
    assert.equal(new Date(time).toISOString(), time);
    assert.equal(sink.received[index]?.headers["stowage-event-id"], id);
    assert.match(String(sink.received[index]?.headers["content-type"]), /^application\/cloudevents\+json/);
  }
});

test("a listener that fails, then hangs, then works gets every event once and in order", async () => {
  const fail: Behaviour = (response) => void response.writeHead(500).end("out of order");
  const sink = await startSink(fail);
  const { id } = await createWebhook(sink, "broken", { events: ["manifest.push"] });
  const [tags, isAccepted] = [["t1", "t2", "t3"], new Set<string>()];
  await pushIndex("broken", "t1", 1);
  await tell("broken");
  // The ledger knows by now that somebody listens: what follows does not wait for its alarm.
  await pushIndex("broken", "t2", 2);
  await pushIndex("broken", "t3", 3);
  for (let tries = 1; tries <= 20; tries++) {
    await received(sink, tries);
    await until("the outcome", async () => (await deliveriesOf(id)).length === tries);
    assert.equal(sink.received.length, tries);
    if (tries === 20) sink.behave(() => {});
    await advance(hourMs);
    await runAlarm("WEBHOOK_QUEUES", id);
  }
  const [hung, ...failed] = await deliveriesOf(id);
  assert.match(hung?.error ?? "", /^no answer within 3000 ms$/);
  assert(failed.every(({ outcome, status }) => outcome === "failed" && status === 500));
  assert.equal(failed[0]?.attempt, 20);
  sink.behave((response, { headers }) => {
    isAccepted.add(String(headers["stowage-event-id"]));
    accept(response, { path: "", headers, body: "" });
  });
  await advance(hourMs);
  await runAlarm("WEBHOOK_QUEUES", id);
  await until("an empty queue", async () => (await getWebhook(id)).waiting === 0);
  const told = distributionEvents(sink);
  assert.deepEqual(
    told.slice(21).map(({ target }) => target.tag),
    tags,
  );
  assert.equal(isAccepted.size, 3);
  assert.deepEqual(new Set(told.slice(0, 22).map((event) => event.id)).size, 1);
});

test("a burst of pushes is told in order, each event once, and each delivery is written down", async () => {
  const sink = await startSink();
  const { id } = await createWebhook(sink, "burst", { events: ["manifest.push"] });
  const tags = Array.from({ length: 25 }, (_, index) => `t${index}`);
  for (const tag of tags) await pushIndex("burst", tag, tag);
  await tell("burst");
  await until("an empty queue", async () => {
    const { waiting } = await getWebhook(id);
    return sink.received.length >= tags.length && waiting === 0;
  });
  assert.deepEqual(
    distributionEvents(sink).map(({ target }) => target.tag),
    tags,
  );
  const deliveries = await deliveriesOf(id);
  assert.deepEqual(
    deliveries.map(({ event, outcome }) => [event, outcome]).reverse(),
    distributionEvents(sink).map((event) => [event.id, "delivered"]),
  );
});

test("a webhook that is deleted while it is told stops, and is forgotten", async () => {
  const sink = await startSink();
  const { id } = await createWebhook(sink, "stopped", { events: ["manifest.push"] });
  let isDeleted: Promise<unknown> | undefined;
  sink.behave((response, received) => {
    isDeleted ??= registry.must(204, "DELETE", `${webhooksPath}/${id}`);
    void isDeleted.then(() => accept(response, received));
  });
  for (const tag of ["t1", "t2", "t3"]) await pushIndex("stopped", tag, tag);
  await tell("stopped");
  await received(sink, 1);
  await isDeleted;
  assert.equal(await statusOf("GET", `${webhooksPath}/${id}`), 404);
  await pushIndex("stopped", "t4", 4);
  await tell("stopped");
  assert.equal(sink.received.length, 1);
});

async function deliveriesOf(id: string): Promise<Delivery[]> {
  const answer = await registry.must(200, "GET", `${webhooksPath}/${id}/deliveries`);
  return answer.json<{ deliveries: Delivery[] }>().deliveries;
}

test("a repository whose event fails holds up neither another one nor another webhook", async () => {
  const picky = await startSink((response, { body }) => {
    const isBad = JSON.parse(body).events[0].target.repository === "lanes/bad";
    response.writeHead(isBad ? 503 : 200).end();
  });
  const other = await startSink();
  const hooks = [picky, other].map((sink) => createWebhook(sink, "lanes/*", { events: ["manifest.push"] }));
  const [hook] = await Promise.all(hooks);
  assert(hook !== undefined);
  for (const tag of ["a", "b"]) {
    await pushIndex("lanes/bad", tag, tag);
    await pushIndex("lanes/good", tag, tag);
  }
  await tell("lanes/bad");
  await tell("lanes/good");
  await received(other, 4);
  await received(picky, 3);
  const isGood = (event: DistributionEvent) => event.target.repository === "lanes/good";
  await until("the good ones", () => distributionEvents(picky).filter(isGood).length === 2);
  await until("the others to wait", async () => (await getWebhook(hook.id)).waiting === 2);
});

test("an event that goes on failing for a day is a dead letter, which can be read and replayed", async () => {
  const sink = await startSink((response) => void response.writeHead(302, { Location: "/else" }).end());
  const { id } = await createWebhook(sink, "dead", { events: ["manifest.push"] });
  await pushIndex("dead", "first", 1);
  await pushIndex("dead", "second", 2);
  await tell("dead");
  await received(sink, 1);
  for (let tries = 1; tries < 36; tries++) {
    await until("the outcome", async () => (await deliveriesOf(id)).length === tries);
    if (tries === 35) sink.behave((response) => void response.writeHead(500).end());
    await advance(hourMs);
    await runAlarm("WEBHOOK_QUEUES", id);
  }
  await until("the next event's turn", async () => (await deliveriesOf(id)).length === 37);
  const [letter, ...others] = await deadLettersOf(id);
  assert(letter !== undefined);
  assert.deepEqual(others, []);
  assert.deepEqual(
    [letter.type, letter.repository, letter.attempts, letter.reason],
    ["manifest.push", "dead", 36, "it failed 36 times: status 500"],
  );
  assert(
    sink.received.every(({ path }) => path === "/hook"),
    "redirects are not followed",
  );
  const path = `${webhooksPath}/${id}/dead-letters/${letter.event}`;
  const whole = (await registry.must(200, "GET", path)).json<{ body: { events: DistributionEvent[] } }>();
  assert.equal(whole.body.events[0]?.target.tag, "first");

  sink.behave(accept);
  await registry.must(202, "POST", `${path}/replay`);
  await advance(hourMs);
  await runAlarm("WEBHOOK_QUEUES", id);
  await until("an empty queue", async () => (await getWebhook(id)).waiting === 0);
  const tags = distributionEvents(sink).map(({ target }) => target.tag);
  assert.deepEqual(tags.slice(-2), ["second", "first"]);
  assert.equal(distributionEvents(sink).at(-1)?.id, letter.event);
  assert.deepEqual(await deadLettersOf(id), []);
  assert.equal(await statusOf("POST", `${path}/replay`), 404);
  const audit = (await registry.must(200, "GET", "/api/v1/audit")).json<{
    entries: Record<string, unknown>[];
  }>();
  const noted = audit.entries.filter(({ action }) => action === "webhook.replay");
  assert.deepEqual(
    noted.map(({ target, outcome, detail }) => [target, outcome, detail]),
    [[id, "done", letter.event]],
  );
});

test("what waits survives the loss of every object's memory", async () => {
  const sink = await startSink((response) => void response.writeHead(500).end());
  const { id } = await createWebhook(sink, "evicted", { events: ["manifest.push"] });
  await pushIndex("evicted", "latest", 1);
  await registry.evict("Repository", "evicted");
  await tell("evicted");
  await received(sink, 1);
  await until("the outcome", async () => (await deliveriesOf(id)).length === 1);
  await registry.evict("Webhooks", "webhooks");
  await registry.evict("WebhookQueue", id);
  sink.behave(accept);
  await advance(hourMs);
  await runAlarm("WEBHOOK_QUEUES", id);
  await until("an empty queue", async () => (await getWebhook(id)).waiting === 0);
  assert.equal(new Set(distributionEvents(sink).map((event) => event.id)).size, 1);
});

test("pulls are told once a minute for each manifest, where somebody asked", async () => {
  const sink = await startSink();
  const { id } = await createWebhook(sink, "popular", { events: ["manifest.pull"] });
  const digest = await pushIndex("popular", "latest", 1);
  for (let pulls = 0; pulls < 5; pulls++) await registry.must(200, "GET", "/v2/popular/manifests/latest");
  await registry.must(200, "HEAD", "/v2/popular/manifests/latest");
  await received(sink, 1);
  await advance(61_000);
  await registry.must(200, "GET", `/v2/popular/manifests/${digest}`);
  await received(sink, 2);
  assert.deepEqual(
    distributionEvents(sink).map(({ action, target }) => [action, target.digest, target.tag]),
    [
      ["pull", digest, "latest"],
      ["pull", digest, undefined],
    ],
  );
  await registry.must(204, "DELETE", `${webhooksPath}/${id}`);
  await advance(61_000);
  await registry.must(200, "GET", "/v2/popular/manifests/latest");
  assert.equal(await statusOf("GET", `${webhooksPath}/${id}`), 404);
  assert.equal(sink.received.length, 2);
});

test("a disabled webhook is sent nothing until it is enabled, and a changed one is tried at once", async () => {
  const [sink, next] = [await startSink((response) => void response.writeHead(500).end()), await startSink()];
  const { id } = await createWebhook(sink, "paused", { events: ["manifest.push"] });
  const change = (body: object) =>
    registry.must(200, "PATCH", `${webhooksPath}/${id}`, { body: encode(body) });
  await pushIndex("paused", "t1", 1);
  await tell("paused");
  await received(sink, 1);
  await until("the outcome", async () => (await deliveriesOf(id)).length === 1);
  await change({ disabled: true, url: next.url });
  await pushIndex("paused", "t2", 2);
  // As long as events wait at most.
  await tell("paused", 30_000);
  assert.equal(await statusOf("POST", `${webhooksPath}/${id}/ping`), 400);
  await change({ disabled: false });
  await received(next, 1);
  await until("an empty queue", async () => (await getWebhook(id)).waiting === 0);
  // What happened while it was disabled is not told.
  assert.deepEqual(
    distributionEvents(next).map(({ target }) => target.tag),
    ["t1"],
  );
  assert.equal(sink.received.length, 1);
});

test("a ping arrives, with the secret that was chosen", async () => {
  const sink = await startSink();
  const made = await createWebhook(sink, "**", { secret: "chosen", events: ["repository.delete"] });
  assert.equal(made.secret, undefined);
  const { event } = (await registry.must(202, "POST", `${webhooksPath}/${made.id}/ping`)).json<{
    event: string;
  }>();
  await received(sink, 1);
  const [ping] = sink.received;
  assert(ping !== undefined);
  checkSignature(ping, "chosen");
  assert.deepEqual([ping.headers["stowage-event"], ping.headers["stowage-event-id"]], ["ping", event]);
});

test("what is pushed after the answer to the making of a webhook is told, in a repository that nobody listened to", async () => {
  const quietMs = 400;
  const { registry: quiet } = await startTimedRegistry({ vars: { ...vars, EVENT_QUIET: `${quietMs}ms` } });
  const sink = await startSink();
  const make = async () => {
    const body = encode({ url: sink.url, events: ["blob.push"], repository: "busy" });
    return (await quiet.must(201, "POST", webhooksPath, { body })).json<Webhook>();
  };
  const digests: string[] = [];
  let isMade = false;
  // Its ledger hears again and again that nobody listens.
  const pushing = (async () => {
    while (!isMade) await quiet.pushBlob("busy", content());
  })();
  await make();
  digests.push(await quiet.pushBlob("busy", content()));
  isMade = true;
  await pushing;
  await until("the event", () =>
    digests.every((digest) => distributionEvents(sink).some(({ target }) => target.digest === digest)),
  );
});
