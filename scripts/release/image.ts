/**
 * The image, by docker, as archives that `docker load` and `stowage push` take: one for each architecture, and one with
 * all of them below an index.
 */
import { execFileSync, spawnSync } from "node:child_process";
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
import { type Architecture, ownArchitecture } from "./tree.ts";

const reference = `${manifest.name}:${version}`;

/** How many layers the Dockerfile adds to its base. */
const ownLayers = 2;

/** What docker stores as an image. Source: image-spec, "Image Configuration". */
type Image = {
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

/** An image of the release. `file`: its archive; `components`: the Debian packages in it, of its base. */
export type BuiltImage = { architecture: Architecture; file: string; components: Component[] };

/**
 * Builds the image for an architecture, and saves it into dist/release. On the same base it is the same each time: docker
 * writes into it when each step was run, and that is replaced by the time of the commit.
 *
 * @param flags more flags for `docker build`, such as other bases; `{architecture}` in them stands for its name
 */
export function buildImage(
  architecture: Architecture,
  epochSeconds: number,
  flags: readonly string[],
): BuiltImage {
  const revision = execFileSync("git", ["rev-parse", "HEAD"], {
    cwd: projectDirectory,
    encoding: "utf8",
  }).trim();
  const isOwn = architecture === ownArchitecture();
  // It would take the base of this machine's architecture.
  if (!isOwn && !hasBuildKit() && !flags.some((flag) => flag.includes("{architecture}")))
    throw new Error(
      `without BuildKit, the image for ${architecture} needs a base whose name has {architecture}`,
    );
  const tag = isOwn ? reference : `${reference}-${architecture}`;
  const target = hasBuildKit()
    ? ["--platform", `linux/${architecture}`]
    : ["--build-arg", `TARGETARCH=${architecture}`];
  const given = flags.map((flag) => flag.replaceAll("{architecture}", architecture));
  docker("build", "--quiet", "--build-arg", `REVISION=${revision}`, ...target, ...given, "--tag", tag, ".");
  const file = join(releaseDirectory, `${manifest.name}-image-${version}-${architecture}.tar.gz`);
  inTemporaryFolders(({ saved, fixed }) => {
    execFileSync("sh", ["-c", 'docker save "$1" | tar -x -C "$2"', "sh", tag, saved]);
    fixTimes(saved, fixed, architecture, epochSeconds);
    packFolder(fixed, file, epochSeconds, "--use-compress-program=gzip -n");
  });
  return { architecture, file, components: baseComponents(tag) };
}

/** Whether docker builds by BuildKit, which knows the platform that it builds for. */
function hasBuildKit(): boolean {
  if (process.env.DOCKER_BUILDKIT === "0") return false;
  return spawnSync("docker", ["buildx", "version"], { stdio: "ignore" }).status === 0;
}

/** Does something in two folders that are removed then. */
function inTemporaryFolders(work: (folders: { saved: string; fixed: string }) => void): void {
  const directory = mkdtempSync(join(tmpdir(), "stowage-image-"));
  const folders = { saved: join(directory, "saved"), fixed: join(directory, "fixed") };
  try {
    for (const folder of Object.values(folders)) mkdirSync(folder);
    work(folders);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function packFolder(folder: string, file: string, epochSeconds: number, ...flags: string[]): void {
  const fixed = [...fixedFlags(epochSeconds), "--owner=0", "--group=0", "--mode=u=rwX,go=rX"];
  tar(...flags, "-cf", file, ...fixed, "-C", folder, ...readdirSync(folder).toSorted());
}

/** Where a file of an image layout is, by its digest. */
type Descriptor = { mediaType: string; digest: string; size: number };

/**
 * Writes an archive with the images of all architectures, as an image layout: what is pushed to a registry. Its layers are
 * compressed, each by itself.
 */
export function packIndex(images: readonly BuiltImage[], epochSeconds: number): string {
  const file = join(releaseDirectory, `${manifest.name}-image-${version}.oci.tar`);
  inTemporaryFolders(({ saved, fixed }) => {
    const blobs = join(fixed, "blobs", "sha256");
    mkdirSync(blobs, { recursive: true });
    const add = (mediaType: string, content: string | Uint8Array): Descriptor => {
      const hex = sha256(content);
      writeFileSync(join(blobs, hex), content);
      return {
        mediaType: `application/vnd.oci.image.${mediaType}`,
        digest: `sha256:${hex}`,
        size: Buffer.byteLength(content),
      };
    };
    const addJson = (mediaType: string, value: object) => add(mediaType, JSON.stringify(value));
    const manifests = images.map(({ architecture, file: archive }) => {
      const files = join(saved, architecture);
      mkdirSync(files);
      tar("-xf", archive, "-C", files);
      const { Config: config, Layers: layers } = savedImage(files);
      const described = addJson("manifest.v1+json", {
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: add("config.v1+json", readFileSync(join(files, config))),
        layers: layers.map((name) => {
          const compressed = execFileSync("gzip", ["-nc", join(files, name)], { maxBuffer: Infinity });
          return add("layer.v1.tar+gzip", compressed);
        }),
      });
      return { ...described, platform: { architecture, os: "linux" } };
    });
    const index = addJson("index.v1+json", {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests,
    });
    const named = { ...index, annotations: { "org.opencontainers.image.ref.name": version } };
    writeFileSync(join(fixed, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    writeFileSync(join(fixed, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
    packFolder(fixed, file, epochSeconds);
  });
  return file;
}

/** The one image of an unpacked archive of `docker save`. */
function savedImage(directory: string): { Config: string; Layers: string[] } {
  const [entry] = JSON.parse(readFileSync(join(directory, "manifest.json"), "utf8"));
  if (entry === undefined) throw new Error("docker saved no image");
  return entry;
}

/**
 * Writes the files of a saved image anew: its own layers and its configuration have this time. The base stays as it is.
 * The architecture is written, because docker without BuildKit takes each image for one of the machine's.
 */
function fixTimes(saved: string, fixed: string, architecture: Architecture, epochSeconds: number): void {
  const entry = savedImage(saved);
  const image: Image = JSON.parse(readFileSync(join(saved, entry.Config), "utf8"));
  const diffIds = entry.Layers.map((name, at) => {
    const isOwn = at >= entry.Layers.length - ownLayers;
    const layer = isOwn ? rewriteLayer(join(saved, name), fixed, epochSeconds) : join(saved, name);
    const diffId = sha256(readFileSync(layer));
    if (!isOwn && image.rootfs.diff_ids[at] !== `sha256:${diffId}`)
      throw new Error("docker saved a layer of the base in another form than it has in the image");
    renameSync(layer, join(fixed, `${diffId}.tar`));
    return diffId;
  });
  const created = new Date(epochSeconds * 1000).toISOString();
  const { os, rootfs, history } = image;
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

/** The Debian packages that are in an image, as its own list has them: nothing runs, as it may be of another architecture. */
function baseComponents(tag: string): Component[] {
  const container = docker("create", tag).trim();
  const directory = mkdtempSync(join(tmpdir(), "stowage-packages-"));
  try {
    docker("cp", `${container}:/var/lib/dpkg/status`, directory);
    const listed = readFileSync(join(directory, "status"), "utf8").split("\n\n");
    return listed.flatMap((entry): Component[] => {
      const { Package: name, Version: of, Status: status } = fieldsOf(entry);
      if (name === undefined || of === undefined || status !== "install ok installed") return [];
      return [
        { type: "library", name, version: of, purl: `pkg:deb/debian/${name}@${encodeURIComponent(of)}` },
      ];
    });
  } finally {
    docker("rm", container);
    rmSync(directory, { recursive: true });
  }
}

/** The fields of an entry that take one line each. */
function fieldsOf(entry: string): Record<string, string> {
  const fields = [...entry.matchAll(/^([A-Za-z-]+): (.*)$/gm)];
  return Object.fromEntries(fields.map(([, name = "", value = ""]) => [name, value]));
}
