import assert from "node:assert/strict";
import test from "node:test";
import { parseMachine } from "../../src/machine.ts";
import {
  parseSettings,
  SettingError,
  type Settings,
  type VariableName,
} from "../../src/settings/settings.ts";

const hour = 3_600_000;

test("every variable has a default", () => {
  const settings = parseSettings({});
  assert.equal(settings.access, "closed");
  assert.equal(settings.gcGraceMs, 24 * hour);
  assert.equal(settings.deleteDelayMs, hour);
  assert.equal(settings.uploadPartBytes, 5 * 1024 * 1024);
  assert.equal(settings.sparseManifests, "reject");
  assert.equal(settings.tagReads, "ledger");
});

const accepted: [name: VariableName, text: string, setting: keyof Settings, value: unknown][] = [
  ["UPLOAD_TTL", "90s", "uploadTtlMs", 90_000],
  ["UPLOAD_TTL", "1500ms", "uploadTtlMs", 1500],
  ["UPLOAD_TTL", "15m", "uploadTtlMs", hour / 4],
  ["UPLOAD_TTL", "6d", "uploadTtlMs", 144 * hour],
  ["GC_GRACE", "0s", "gcGraceMs", 0],
  ["UPLOAD_PART_SIZE", "5242880", "uploadPartBytes", 5_242_880],
  ["UPLOAD_PART_SIZE", "8MiB", "uploadPartBytes", 8 * 1024 * 1024],
  ["UPLOAD_BUFFERS", "512KiB", "uploadBufferBytes", 512 * 1024],
  ["ACCESS", "open", "access", "open"],
  ["SPARSE_MANIFESTS", "accept", "sparseManifests", "accept"],
  ["SCRUB_EVERY", "7d", "scrubEveryMs", 168 * hour],
  ["SCRUB_EVERY", "never", "scrubEveryMs", undefined],
  ["UNTAGGED_TTL", "never", "untaggedTtlMs", undefined],
  ["TAG_HISTORY_DAYS", "2", "tagHistoryMs", 48 * hour],
  ["REPLICA_REPEAT", "30s", "replicaRepeatMs", 30_000],
  ["ADMIN_PASSWORD", "", "adminPassword", undefined],
  ["ADMIN_PASSWORD", "twelve chars", "adminPassword", "twelve chars"],
  ["LOG_PROBES", "no", "logsProbes", false],
  ["UPLOAD_STALL", "20s", "uploadStallMs", 20_000],
  ["EVENT_QUIET", "0s", "eventQuietMs", 0],
  ["PUBLIC_URL", "", "publicUrl", undefined],
  ["PUBLIC_URL", "https://Registry.example.com", "publicUrl", "https://registry.example.com"],
  ["PUBLIC_URL", "https://registry.example.com:443/", "publicUrl", "https://registry.example.com"],
  ["PUBLIC_URL", "http://[::1]:5000", "publicUrl", "http://[::1]:5000"],
];

test("durations, sizes and words are parsed", () => {
  for (const [name, text, setting, value] of accepted) {
    assert.equal(parseSettings({ [name]: text })[setting], value, `${name}=${text}`);
  }
});

test("hosts are listed as URLs have them", () => {
  assert.deepEqual(parseSettings({ OPEN_HOSTS: " Dev.Box.,10.1 ,[FD00::0:1]," }).openHosts, [
    "dev.box",
    "10.0.0.1",
    "[fd00::1]",
  ]);
});

test("without grace, bytes are deleted without delay", () => {
  assert.equal(parseSettings({ GC_GRACE: "0s" }).deleteDelayMs, 0);
});

const refused: [name: VariableName, text: string][] = [
  ["UPLOAD_TTL", ""],
  ["UPLOAD_TTL", "10"],
  ["UPLOAD_TTL", "-1s"],
  ["UPLOAD_TTL", "1.5h"],
  ["UPLOAD_TTL", "0s"],
  ["UPLOAD_TTL", "7d"],
  ["UPLOAD_TTL", "1s "],
  ["LEASE_TTL", "soon"],
  ["UPLOAD_PART_SIZE", "1MiB"],
  ["UPLOAD_PART_SIZE", "5MB"],
  ["UPLOAD_PART_SIZE", "33MiB"],
  ["ACCESS", "OPEN"],
  ["PUBLIC_URL", "registry.example.com"],
  ["PUBLIC_URL", "ftp://registry.example.com"],
  ["PUBLIC_URL", "https://registry.example.com/v2/"],
  ["PUBLIC_URL", "https://user@registry.example.com"],
  ["PUBLIC_URL", "https://registry.example.com:99999"],
  ["PUBLIC_URL", "https://registry.example.com?x"],
  ["PUBLIC_URL", `https://${"x".repeat(250)}.example`],
  ["OPEN_HOSTS", "dev.box:5000"],
  ["OPEN_HOSTS", "dev.box:80"],
  ["OPEN_HOSTS", "[::1]:80"],
  ["OPEN_HOSTS", "::1"],
  ["OPEN_HOSTS", "*.dev.box"],
  ["OPEN_HOSTS", "http://dev.box"],
  ["OPEN_HOSTS", "dev.box/"],
  ["OPEN_HOSTS", "dev box"],
  ["OPEN_HOSTS", Array(101).fill("dev.box").join()],
  ["SCRUB_EVERY", "Never"],
  ["SCRUB_EVERY", "1s"],
  ["TAG_HISTORY_DAYS", "1.5"],
  ["TAG_HISTORY_DAYS", "90d"],
  ["ACCESS", ""],
  ["TAG_READS", "constructor"],
];

test("a wrong value is refused by an error that names the variable and says what it accepts", () => {
  for (const [name, text] of refused) {
    assert.throws(
      () => parseSettings({ [name]: text }),
      (error) => {
        assert(error instanceof SettingError);
        assert(error.message.startsWith(`${name} is ${JSON.stringify(text)}, but must be `), error.message);
        return true;
      },
    );
  }
});

test("where nothing is said of a machine, the work is divided as on the platform", () => {
  assert.deepEqual(parseMachine({}), { blobShards: 256, uploadPools: 0, nameIndexes: 16 });
});

test("what the local server says of its machine is read, and nothing else", () => {
  for (const blobShards of [1, 4, 256]) {
    const machine = { blobShards, uploadPools: 4, nameIndexes: 1 };
    assert.deepEqual(parseMachine({ MACHINE: JSON.stringify(machine) }), machine);
  }
  const refused = [
    "",
    "null",
    "1",
    "{}",
    '{"blobShards":1,"uploadPools":1}',
    '{"blobShards":1,"nameIndexes":1}',
    '{"uploadPools":1,"nameIndexes":1}',
    '{"blobShards":0,"uploadPools":1,"nameIndexes":1}',
    '{"blobShards":3,"uploadPools":1,"nameIndexes":1}',
    '{"blobShards":512,"uploadPools":1,"nameIndexes":1}',
    '{"blobShards":"1","uploadPools":1,"nameIndexes":1}',
    '{"blobShards":1,"uploadPools":-1,"nameIndexes":1}',
    '{"blobShards":1,"uploadPools":1.5,"nameIndexes":1}',
    '{"blobShards":1,"uploadPools":65,"nameIndexes":1}',
    '{"blobShards":1,"uploadPools":1,"nameIndexes":0}',
    '{"blobShards":1,"uploadPools":1,"nameIndexes":17}',
    '{"blobShards":1,"uploadPools":1,"nameIndexes":1,"more":1}',
  ];
  for (const MACHINE of refused) {
    assert.throws(() => parseMachine({ MACHINE }), { name: "SettingError", variable: "MACHINE" }, MACHINE);
  }
});

test("a password that is too short is refused, and the error does not tell it", () => {
  assert.throws(() => parseSettings({ ADMIN_PASSWORD: "hunter2hunt" }), {
    name: "SettingError",
    message: "ADMIN_PASSWORD is wrong: it has 11 characters, and must have at least 12",
  });
});
