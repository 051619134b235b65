/** The image, by docker, as an archive that `docker load` and `stowage push` take. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../src/version.ts";
import { manifest, projectDirectory, releaseDirectory } from "./places.ts";
import type { Component } from "./sbom.ts";
import { fixedFlags, tar } from "./tar.ts";

const reference = `${manifest.name}:${version}`;

/** How many layers the Dockerfile adds to its base. */
const ownLayers = 2;

/** What docker stores as an image. Source: image-spec, "Image Configuration". */
type Image = {
  architecture: string;
  os: string;
  config: Record<string, unknown>;
  rootfs: { type: "layers"; diff_ids: string[] };
  history: Record<string, unknown>[];
};

function docker(...args: string[]): string {
  return execFileSync("docker", args, {
    cwd: projectDirectory,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 64 * 1024 * 1024,
  });
}

/**
 * Builds the image for this machine's architecture, and saves it into dist/release. On the same base it is the same each
 * time: docker writes into it when each step was run, and that is replaced by the time of the commit.
 *
 * @param flags more flags for `docker build`, such as other bases
 */
export function buildImage(architecture: string, epochSeconds: number, flags: readonly string[]): string {
  const revision = execFileSync("git", ["rev-parse", "HEAD"], {
    cwd: projectDirectory,
    encoding: "utf8",
  }).trim();
  docker("build", "--quiet", "--build-arg", `REVISION=${revision}`, ...flags, "--tag", reference, ".");
  const file = join(releaseDirectory, `${manifest.name}-image-${version}-${architecture}.tar.gz`);
  const directory = mkdtempSync(join(tmpdir(), "stowage-image-"));
  try {
    const saved = join(directory, "saved");
    mkdirSync(saved);
    execFileSync("sh", ["-c", 'docker save "$1" | tar -x -C "$2"', "sh", reference, saved]);
    const fixed = join(directory, "fixed");
    mkdirSync(fixed);
    fixTimes(saved, fixed, epochSeconds);
    const flags = [...fixedFlags(epochSeconds), "--owner=0", "--group=0", "--mode=u=rw,go=r"];
    tar("--use-compress-program=gzip -n", "-cf", file, ...flags, "-C", fixed, ...readdirSync(fixed));
  } finally {
    rmSync(directory, { recursive: true });
  }
  // What the tag names from now on is what is in the archive.
  docker("load", "--quiet", "--input", file);
  return file;
}

/** Writes the files of a saved image anew: its own layers and its configuration have this time. The base stays as it is. */
function fixTimes(saved: string, fixed: string, epochSeconds: number): void {
  const read = (name: string) => JSON.parse(readFileSync(join(saved, name), "utf8"));
  const [entry]: { Config: string; Layers: string[] }[] = read("manifest.json");
  if (entry === undefined) throw new Error("docker saved no image");
  const image: Image = read(entry.Config);
  const diffIds = entry.Layers.map((name, at) => {
    const isOwn = at >= entry.Layers.length - ownLayers;
    const layer = isOwn ? rewriteLayer(join(saved, name), fixed, epochSeconds) : join(saved, name);
    const diffId = sha256(readFileSync(layer));
    renameSync(layer, join(fixed, `${diffId}.tar`));
    return diffId;
  });
  const created = new Date(epochSeconds * 1000).toISOString();
  const { architecture, os, rootfs, history } = image;
  // Those name what the build left behind.
  const { Hostname: _, Image: __, ...config } = image.config;
  const configuration = JSON.stringify({
    created,
    architecture,
    os,
    config,
    rootfs: { ...rootfs, diff_ids: diffIds.map((hex) => `sha256:${hex}`) },
    history: history.map((step) => ({ ...step, created })),
  });
  const name = `${sha256(configuration)}.json`;
  writeFileSync(join(fixed, name), configuration);
  const layers = diffIds.map((hex) => `${hex}.tar`);
  const saying = [{ Config: name, RepoTags: [reference], Layers: layers }];
  writeFileSync(join(fixed, "manifest.json"), JSON.stringify(saying));
}

/** Packs the files of a layer again. Only root can give them the owners that they have. */
function rewriteLayer(layer: string, directory: string, epochSeconds: number): string {
  const files = mkdtempSync(join(directory, "layer-"));
  tar("-xf", layer, "--numeric-owner", "--same-owner", "--same-permissions", "-C", files);
  const made = join(directory, "layer.tar");
  tar("-cf", made, ...fixedFlags(epochSeconds), "-C", files, ...readdirSync(files));
  rmSync(files, { recursive: true });
  return made;
}

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** The Debian packages that are in the image, of its base. */
export function imageComponents(): Component[] {
  const format = ["Package", "Version"].map((field) => `\${${field}}`).join(" ");
  const listed = docker(
    "run",
    "--rm",
    "--network",
    "none",
    "--entrypoint",
    "dpkg-query",
    reference,
    "-W",
    "-f",
    `${format}\\n`,
  );
  return listed
    .trim()
    .split("\n")
    .map((line): Component => {
      const [name = "", of = ""] = line.split(" ");
      return { type: "library", name, version: of, purl: `pkg:deb/debian/${name}@${encodeURIComponent(of)}` };
    });
}
