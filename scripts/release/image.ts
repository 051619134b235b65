/** The image, by docker, as an archive that `docker load` and `stowage push` take. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { version } from "../../src/version.ts";
import { manifest, projectDirectory, releaseDirectory } from "./places.ts";
import type { Component } from "./sbom.ts";

const reference = `${manifest.name}:${version}`;

function docker(...args: string[]): string {
  return execFileSync("docker", args, {
    cwd: projectDirectory,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 64 * 1024 * 1024,
  });
}

/**
 * Builds the image for this machine's architecture, and saves it into dist/release. Unlike all else it is not the same
 * each time: docker writes into it when each step was run.
 *
 * @param flags more flags for `docker build`, such as other bases
 */
export function buildImage(architecture: string, flags: readonly string[]): string {
  const revision = execFileSync("git", ["rev-parse", "HEAD"], {
    cwd: projectDirectory,
    encoding: "utf8",
  }).trim();
  docker("build", "--quiet", "--build-arg", `REVISION=${revision}`, ...flags, "--tag", reference, ".");
  const file = join(releaseDirectory, `${manifest.name}-image-${version}-${architecture}.tar.gz`);
  execFileSync("sh", ["-c", 'docker save "$1" | gzip -n >"$2"', "sh", reference, file], { stdio: "inherit" });
  return file;
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
