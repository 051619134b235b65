/**
 * The image of the architecture that this machine does not have: made for it alone, and run under an emulator. It needs
 * qemu-user-static and what `npm run artefacts -- --image` makes; it takes minutes, so that `.ci/artefacts` runs it, and
 * the gate does not.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { type Architecture, architectures, ownArchitecture } from "../../scripts/release/tree.ts";
import { variableNames } from "../../src/settings/settings.ts";
import { version } from "../../src/version.ts";
import { hasPrograms, run } from "../clients/support/programs.ts";
import { ready, startProgram, temporaryDirectory } from "../local/program.ts";
import { Client } from "../support/client.ts";
import { content } from "../support/content.ts";
import { artefact, imageArchive } from "./support/artefacts.ts";
import { type Root, unpackRoot } from "./support/root.ts";

/** Processors as qemu and as ELF call them. Source: the numbers of e_machine, System V ABI. */
const processors = { amd64: { qemu: "x86_64", machine: 62 }, arm64: { qemu: "aarch64", machine: 183 } };
const other: Architecture = ownArchitecture() === "amd64" ? "arm64" : "amd64";
const emulator = `qemu-${processors[other].qemu}-static`;
const program = "/opt/stowage";
const workerd = `${program}/node_modules/@cloudflare/workerd-linux-${other === "amd64" ? "64" : other}/bin/workerd`;

const json = (file: string) => JSON.parse(readFileSync(file, "utf8"));
const sha256 = (file: string) => `sha256:${createHash("sha256").update(readFileSync(file)).digest("hex")}`;

/** The processor that a program is for; `undefined` for any other file. */
function machineOf(file: string): number | undefined {
  const header = Buffer.alloc(20);
  const opened = openSync(file, "r");
  try {
    if (readSync(opened, header) < header.length || header.toString("latin1", 0, 4) !== "\x7fELF") return;
    return header.readUInt16LE(18);
  } finally {
    closeSync(opened);
  }
}

/** The files in a root file system that are programs or libraries. */
function executables({ directory, at }: Root): { name: string; machine: number }[] {
  const folders = readdirSync(directory).filter((name) => name !== "proc" && name !== "dev");
  const entries = folders.flatMap((name) => {
    if (!lstatSync(at(name)).isDirectory()) return [];
    return readdirSync(at(name), { recursive: true, withFileTypes: true });
  });
  return entries.flatMap((entry) => {
    const file = join(entry.parentPath, entry.name);
    const machine = entry.isFile() ? machineOf(file) : undefined;
    return machine === undefined ? [] : [{ name: file.slice(directory.length), machine }];
  });
}

/** Puts the emulator into a root file system, and returns how a program in it is run. */
async function emulate({ at }: Root): Promise<(...command: string[]) => string[]> {
  const { stdout } = await run("sh", ["-c", `command -v ${emulator}`]);
  copyFileSync(stdout.trim(), at("emulator"));
  // The server starts workerd by its path: this script, whose shell is of the image, starts it under the emulator too.
  writeFileSync(at("workerd"), `#!/emulator /bin/dash\nexec /emulator ${workerd} "$@"\n`);
  chmodSync(at("workerd"), 0o755);
  return (...command) => ["/emulator", ...command];
}

/** Runs the registry in a root file system, pushes to it, and stops it. */
async function servesImages(
  t: TestContext,
  { directory, at }: Root,
  command: readonly string[],
): Promise<void> {
  const password = "correct horse battery staple";
  const server = startProgram(t, ["/usr/sbin/chroot", directory, ...command], {
    data: at("/var/lib/stowage/data"),
    env: { ADMIN_PASSWORD: password, STOWAGE_WORKERD: "/workerd", TMPDIR: "/dev" },
  });
  const client = new Client(await ready(server), { name: "admin", password });
  await client.pushImage("team/app", "v1", [content(100_000)]);
  await client.must(200, "GET", "/v2/team/app/manifests/v1");
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.ended, { code: 0, signal: null }, server.stderr);
}

test(`the image for ${other}`, async (t) => {
  if (!hasPrograms(t, "root", emulator)) return;
  const folder = temporaryDirectory(t);
  execFileSync("tar", ["-xf", imageArchive(other), "-C", folder]);
  const [{ Config: name, Layers: layers, RepoTags: tags }] = json(join(folder, "manifest.json"));
  const { architecture, os, config, rootfs } = json(join(folder, name));
  const files: string[] = layers.map((layer: string) => join(folder, layer));

  await t.test("says for what it is, and is configured as that for this machine", () => {
    assert.deepEqual([os, architecture, tags], ["linux", other, [`stowage:${version}`]]);
    assert.deepEqual(rootfs.diff_ids, files.map(sha256));
    const own = temporaryDirectory(t);
    execFileSync("tar", ["-xf", imageArchive(), "-C", own]);
    assert.deepEqual(config, json(join(own, json(join(own, "manifest.json"))[0].Config)).config);
    assert.equal(config.Labels["org.opencontainers.image.version"], version);
  });

  await t.test("is in one archive with that for this machine", () => {
    const layout = temporaryDirectory(t);
    execFileSync("tar", ["-xf", artefact(`stowage-image-${version}.oci.tar`), "-C", layout]);
    const blob = (digest: string) => {
      const file = join(layout, "blobs", "sha256", digest.slice("sha256:".length));
      assert.equal(sha256(file), digest);
      return file;
    };
    const [{ digest }] = json(join(layout, "index.json")).manifests;
    const { manifests } = json(blob(digest));
    const platforms = Object.keys(architectures).map((each) => ({ architecture: each, os: "linux" }));
    assert.deepEqual(
      manifests.map(({ platform }: { platform: object }) => platform),
      platforms,
    );
    const images = manifests.map((each: { digest: string }) => json(blob(each.digest)));
    for (const image of images) for (const { digest: layer } of image.layers) blob(layer);
    const configured = images.map((image: { config: { digest: string } }) => json(blob(image.config.digest)));
    assert.deepEqual(
      configured.find((each: { architecture: string }) => each.architecture === other).rootfs,
      rootfs,
    );
  });

  const root = unpackRoot(t, ...files);

  await t.test("has programs and libraries of that architecture alone", () => {
    const found = executables(root);
    for (const file of [workerd, `${program}/bin/node`])
      assert(
        found.some(({ name }) => name === file),
        file,
      );
    const wrong = found.filter(({ machine }) => machine !== processors[other].machine);
    assert.deepEqual(wrong, []);
    t.diagnostic(`${found.length} programs and libraries`);
  });

  const emulated = await emulate(root);
  const stowage = emulated(`${program}/bin/node`, `${program}/main.js`);

  await t.test("runs the command line under an emulator", async () => {
    assert.equal(await root.inside(...stowage, "--version"), `stowage ${version}\n`);
    const settings = await root.inside(...stowage, "settings");
    for (const variable of variableNames) assert.match(settings, new RegExp(`^${variable}$`, "m"));
  });

  await t.test("serves a registry under an emulator", async (t) => {
    const flags = ["--port", "0", "--data", "/var/lib/stowage/data", "--log", "json"];
    await servesImages(t, root, [...stowage, "serve", ...flags]);
  });
});
