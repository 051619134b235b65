/** The Debian package: installed where nothing of this project is, upgraded, removed; and how its service is confined. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { projectDirectory } from "../../scripts/release/places.ts";
import { ownArchitecture } from "../../scripts/release/tree.ts";
import { parseFlags } from "../../src/local/flags.ts";
import { version } from "../../src/version.ts";
import { hasPrograms, run } from "../clients/support/programs.ts";
import { freePort } from "../clients/support/server.ts";
import { ready, startProgram } from "../local/program.ts";
import { Client } from "../support/client.ts";
import { content } from "../support/content.ts";
import { afterTest } from "../support/ends.ts";
import { artefact } from "./support/artefacts.ts";
import { debianArchive } from "./support/base-image.ts";
import { type Root, unpackRoot } from "./support/root.ts";

const architecture = ownArchitecture();
/** What `systemd-analyze security` may give the service, times ten. */
const mostExposure = 20;
const sources = join(projectDirectory, "deploy", "debian");
/** A package made of another one: unpacked, changed, and packed again. */
function repack(t: TestContext, file: string, change: (tree: string) => void): string {
  const folder = mkdtempSync(join(tmpdir(), "stowage-package-"));
  afterTest(t, () => rmSync(folder, { recursive: true, force: true }));
  const tree = join(folder, "tree");
  execFileSync("dpkg-deb", ["--raw-extract", file, tree]);
  change(tree);
  const made = join(folder, "stowage.deb");
  execFileSync("dpkg-deb", ["--root-owner-group", "-Zgzip", "-z1", "--build", tree, made], {
    stdio: "ignore",
  });
  return made;
}

/** The package as that of the release before. */
function earlierPackage(t: TestContext, file: string): string {
  return repack(t, file, (tree) => {
    const control = join(tree, "DEBIAN", "control");
    const text = readFileSync(control, "utf8");
    writeFileSync(control, text.replace(/^Version: .*$/m, `Version: ${version}~earlier`));
  });
}

/** Runs the command of the service, as its user, with a password as the service gets it, while somebody works with it. */
async function whileServing(
  t: TestContext,
  { directory, at }: Root,
  work: (client: Client) => Promise<void>,
) {
  const [, password = ""] =
    /^ADMIN_PASSWORD=(.*)$/m.exec(readFileSync(at("etc/stowage/environment"), "utf8")) ?? [];
  const unit = readFileSync(join(sources, "stowage.service"), "utf8");
  const [, command = ""] = /^ExecStart=(.*)$/m.exec(unit) ?? [];
  const words = command.replace("$STOWAGE_FLAGS", `--host 127.0.0.1 --port ${await freePort()}`).split(" ");
  const user = ["setpriv", "--reuid", "stowage", "--regid", "stowage", "--clear-groups"];
  const server = startProgram(t, ["/usr/sbin/chroot", directory, ...user, ...words], {
    data: at("var/lib/stowage"),
    env: { ADMIN_PASSWORD: password, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  await work(new Client(await ready(server), { name: "admin", password }));
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.ended, { code: 0, signal: null }, server.stderr);
}

test("the Debian package", async (t) => {
  if (!hasPrograms(t, "root", "dpkg-deb", "mmdebstrap")) return;
  const file = artefact(`stowage_${version}_${architecture}.deb`);
  const debian = unpackRoot(t, await debianArchive());
  const { at, inside } = debian;
  const install = async (from: string) => {
    copyFileSync(from, at("stowage.deb"));
    return await inside("dpkg", "--install", "/stowage.deb");
  };
  const passwordFile = at("etc/stowage/environment");
  const image = content(100_000);

  await t.test("is installed, enabled, and has a user and a password of its own", async (t) => {
    await install(earlierPackage(t, file));
    assert.match(readFileSync(passwordFile, "utf8"), /^ADMIN_PASSWORD=[A-Za-z0-9+/]{24}\n$/);
    assert.equal(statSync(passwordFile).mode & 0o777, 0o600);
    assert.match(await inside("getent", "passwd", "stowage"), /:\/var\/lib\/stowage:\/usr\/sbin\/nologin$/m);
    assert.equal(await inside("stowage", "--version"), `stowage ${version}\n`);
    assert(existsSync(at("etc/systemd/system/multi-user.target.wants")));
  });

  await t.test("is upgraded, while data, password and flags stay", async (t) => {
    // As systemd makes it.
    await inside("install", "-d", "-m", "700", "-o", "stowage", "-g", "stowage", "/var/lib/stowage");
    await whileServing(t, debian, async (client) => {
      await client.pushImage("team/app", "v1", [image]);
    });
    const password = readFileSync(passwordFile, "utf8");
    const flags = 'STOWAGE_FLAGS="--host 127.0.0.1 --port 5001"\n';
    writeFileSync(at("etc/default/stowage"), flags);
    assert.match(
      await install(file),
      new RegExp(`^Unpacking stowage \\(${version}\\) over \\(${version}~earlier\\)`, "m"),
    );
    assert.equal(readFileSync(at("etc/default/stowage"), "utf8"), flags);
    assert.equal(readFileSync(passwordFile, "utf8"), password);
    await whileServing(t, debian, async (client) => {
      await client.must(200, "GET", "/v2/team/app/manifests/v1");
    });
  });

  await t.test("is removed and purged, and the data stays", async () => {
    await inside("dpkg", "--remove", "stowage");
    assert(!existsSync(at("usr/lib/stowage")) && existsSync(passwordFile));
    const said = await inside("dpkg", "--purge", "stowage");
    assert.match(said, /the images of the registry stay in \/var\/lib\/stowage$/m);
    assert(!existsSync(at("etc/stowage")) && !existsSync(at("etc/default/stowage")));
    assert(existsSync(at("var/lib/stowage/lock")));
    assert.equal(statSync(at("var/lib/stowage")).mode & 0o777, 0o700);
  });
});

test("the service is confined, and its flags are flags of the server", async (t) => {
  if (!hasPrograms(t, "systemd-analyze")) return;
  const unit = join(sources, "stowage.service");
  const analyze = ["security", "--offline=true", "--no-pager", `--threshold=${mostExposure}`, unit];
  const { stdout } = await run("systemd-analyze", analyze);
  t.diagnostic(/Overall exposure level.*: [\d.]+/.exec(stdout)?.[0] ?? "");
  const [, flags = ""] =
    /^STOWAGE_FLAGS="(.*)"$/m.exec(readFileSync(join(sources, "stowage.default"), "utf8")) ?? [];
  assert.equal(parseFlags(flags.split(" "), {}).ok, true);
});

test("lintian finds nothing wrong with the package, but for the programs of others in it", async (t) => {
  if (!hasPrograms(t, "lintian", "dpkg-deb")) return;
  const file = repack(t, artefact(`stowage_${version}_${architecture}.deb`), (tree) => {
    for (const program of globSync("usr/lib/stowage/**/bin/{node,workerd}", { cwd: tree }))
      rmSync(join(tree, program));
    const sums = join(tree, "DEBIAN", "md5sums");
    const lines = readFileSync(sums, "utf8").split("\n");
    writeFileSync(sums, lines.filter((line) => !/bin\/(node|workerd)$/.test(line)).join("\n"));
  });
  const tags = join(import.meta.dirname, "lintian-tags");
  await run("lintian", ["--allow-root", "--fail-on", "error", "--suppress-tags-from-file", tags, file]);
});
