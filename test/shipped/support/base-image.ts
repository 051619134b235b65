/** Images to build the registry's image on, where no registry has any: Debian by its packages, and Node by npm's. */

import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Architecture, ownArchitecture } from "../../../scripts/release/tree.ts";
import type { Docker } from "../../clients/support/docker.ts";
import { run } from "../../clients/support/programs.ts";
import { temporaryDirectory } from "../../local/program.ts";
import type { Owner } from "../../support/ends.ts";

/** The images, by the arguments that the Dockerfile takes. */
const baseImages = { BASE: "debian-of-packages:{architecture}", BUILD_BASE: "node-of-packages" };

/** Debian, for this machine or for another architecture. */
const debianImage = (architecture: Architecture = ownArchitecture()) =>
  baseImages.BASE.replace("{architecture}", architecture);

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

/** Packages of another architecture are unpacked, and none of their scripts runs. */
const unpacked = [
  "--variant=extract",
  "--include=base-files,coreutils,dash,dpkg,libstdc++6,passwd,util-linux",
  ...slim,
];

/** A Debian as small as it gets, as an archive. It is made once, by mmdebstrap, and kept between runs. */
export async function debianArchive(architecture: Architecture = ownArchitecture()): Promise<string> {
  const isOwn = architecture === ownArchitecture();
  const name = isOwn ? "debian-base" : `debian-base-${architecture}`;
  const archive = join(kept, `${name}.tar`);
  if (existsSync(archive)) return archive;
  await mkdir(kept, { recursive: true });
  const partial = join(kept, `${name}.${process.pid}.tar`);
  const flags = ["--quiet", `--architectures=${architecture}`, ...(isOwn ? options : unpacked)];
  await run("mmdebstrap", [...flags, await debianRelease(), partial]);
  await rename(partial, archive);
  return archive;
}

/** Makes the images that the registry's image is built on: Debian for these architectures, and Node for this machine's. */
export async function makeBaseImages(t: Owner, docker: Docker, of: readonly Architecture[]): Promise<void> {
  for (const architecture of of)
    await docker(["import", await debianArchive(architecture), debianImage(architecture)]);
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
export async function makeCaddyImage(t: Owner, docker: Docker): Promise<void> {
  const directory = join(temporaryDirectory(t), "caddy");
  await mkdir(directory);
  const { stdout: file } = await run("sh", ["-c", 'realpath "$(command -v caddy)"']);
  await cp(file.trim(), join(directory, "caddy"));
  await docker(["import", await debianArchive(), debianImage()]);
  const lines = [
    `FROM ${debianImage()}`,
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
    `FROM ${debianImage()}`,
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
