/** Images to build the registry's image on, where no registry has any: Debian by its packages, and Node by npm's. */

import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Docker } from "../../clients/support/docker.ts";
import { run } from "../../clients/support/programs.ts";
import { temporaryDirectory } from "../../local/program.ts";

/** The images, by the arguments that the Dockerfile takes. */
export const baseImages = { BASE: "debian-of-packages", BUILD_BASE: "node-of-packages" };

/** The flags of `docker build` for them; npm is asked over this machine's network. */
export const baseFlags = [
  "--network",
  "host",
  ...Object.entries(baseImages).flatMap(([name, base]) => ["--build-arg", `${name}=${base}`]),
];

/** Where things are kept between runs. */
const kept =
  process.env.STOWAGE_CI_TOOLS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "stowage-ci");

/** No documentation but licences, as in Debian's own slim images. */
const slim = ["doc", "man", "locale"].map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`);
const options = [
  "--variant=essential",
  "--include=libstdc++6,passwd",
  ...slim,
  "--dpkgopt=path-include=/usr/share/doc/*/copyright",
];

/** A Debian as small as it gets, as an archive. It is made once, by mmdebstrap, and kept between runs. */
export async function debianArchive(): Promise<string> {
  const archive = join(kept, "debian-base.tar");
  if (existsSync(archive)) return archive;
  await mkdir(kept, { recursive: true });
  const partial = join(kept, `debian-base.${process.pid}.tar`);
  await run("mmdebstrap", ["--quiet", ...options, await debianRelease(), partial]);
  await rename(partial, archive);
  return archive;
}

/** Makes both images. */
export async function makeBaseImages(t: Pick<TestContext, "after">, docker: Docker): Promise<void> {
  await docker(["import", await debianArchive(), baseImages.BASE]);
  const directory = join(temporaryDirectory(t), "node");
  await mkdir(directory);
  await cp(process.execPath, join(directory, "node"));
  // …/npm/bin/npm-cli.js
  const { stdout: npm } = await run("sh", ["-c", 'realpath "$(command -v npm)"']);
  await cp(join(npm.trim(), "..", ".."), join(directory, "npm"), { recursive: true });
  await writeFile(join(directory, "Dockerfile"), await dockerfileOfNode(directory));
  await docker(["build", "--quiet", "--tag", baseImages.BUILD_BASE, directory]);
}

/** Caddy, by Debian's package, as the official image has it: with what it keeps in /data. */
export const caddyImage = "caddy-of-packages";

/** Makes it. */
export async function makeCaddyImage(t: Pick<TestContext, "after">, docker: Docker): Promise<void> {
  const directory = join(temporaryDirectory(t), "caddy");
  await mkdir(directory);
  const { stdout: file } = await run("sh", ["-c", 'realpath "$(command -v caddy)"']);
  await cp(file.trim(), join(directory, "caddy"));
  await docker(["import", await debianArchive(), baseImages.BASE]);
  const lines = [
    `FROM ${baseImages.BASE}`,
    "COPY caddy /usr/bin/caddy",
    "ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data",
    "VOLUME /data",
  ];
  await writeFile(join(directory, "Dockerfile"), `${lines.join("\n")}\n`);
  await docker(["build", "--quiet", "--tag", caddyImage, directory]);
}

async function debianRelease(): Promise<string> {
  const [, name = "bookworm"] =
    /^VERSION_CODENAME=(\w+)$/m.exec(await readFile("/etc/os-release", "utf8")) ?? [];
  return name;
}

/** The certificates and the configuration by which npm works on this machine go along. */
async function dockerfileOfNode(directory: string): Promise<string> {
  const lines = [
    `FROM ${baseImages.BASE}`,
    "COPY node /usr/local/bin/node",
    "COPY npm /usr/local/lib/node_modules/npm",
    "RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm",
  ];
  const { stdout: registry } = await run("npm", ["config", "get", "registry"]);
  lines.push(`ENV npm_config_registry=${registry.trim()}`);
  const certificates = process.env.NODE_EXTRA_CA_CERTS;
  if (certificates) {
    await cp(certificates, join(directory, "ca.crt"));
    lines.push("COPY ca.crt /etc/ssl/extra-ca.crt", "ENV NODE_EXTRA_CA_CERTS=/etc/ssl/extra-ca.crt");
  }
  return `${lines.join("\n")}\n`;
}
