/**
 * `npm run artefacts`: everything that a release consists of, in dist/release.
 *
 * --architecture NAME   Debian package and image for this one alone
 * --image               the image as well, for which a docker daemon is needed; what follows are flags of docker build,
 *                       with {architecture} in place of the architecture's name
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../../src/version.ts";
import { packChart } from "./chart.ts";
import { buildDebian } from "./debian.ts";
import { buildImage, packIndex } from "./image.ts";
import { packProgram } from "./package.ts";
import { manifest, projectDirectory, releaseDirectory, tarball } from "./places.ts";
import {
  billOfMaterials,
  bundledComponents,
  type Component,
  executableComponents,
  workerdComponent,
} from "./sbom.ts";
import { type Architecture, architectures, installTree } from "./tree.ts";

/** The time of everything that is made: that of the commit. */
function epochOfCommit(): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined) return Number(given);
  const args = ["log", "-1", "--format=%ct"];
  const { status, stdout } = spawnSync("git", args, { cwd: projectDirectory, encoding: "utf8" });
  // A copy without its history has no commit.
  if (status !== 0) return Math.floor(statSync(join(projectDirectory, "package.json")).mtimeMs / 1000);
  return Number(stdout);
}

function writeRelease(name: string, text: string): void {
  writeFileSync(join(releaseDirectory, name), text);
}

/** The digests of all files, as `sha256sum --check` reads them. */
function writeSums(): void {
  const names = readdirSync(releaseDirectory).filter((name) => name !== "SHA256SUMS");
  const lines = names.toSorted().map((name) => {
    const bytes = readFileSync(join(releaseDirectory, name));
    return `${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`;
  });
  writeRelease("SHA256SUMS", lines.join(""));
}

const { values, positionals } = parseArgs({
  options: { architecture: { type: "string" }, image: { type: "boolean", default: false } },
  allowPositionals: true,
});
rmSync(releaseDirectory, { recursive: true, force: true });
const epoch = epochOfCommit();
const bundled = bundledComponents(await packProgram());

/** Writes what an artefact consists of beside it. */
function describeParts(file: string, components: Component[]): void {
  writeRelease(`${basename(file)}.cdx.json`, billOfMaterials(file, [...bundled, ...components], epoch));
}

describeParts(tarball, [workerdComponent()]);
execFileSync("npm", ["run", "--silent", "deploy:check"], {
  cwd: projectDirectory,
  stdio: ["ignore", "ignore", "inherit"],
});
const worker = join(releaseDirectory, `${manifest.name}-worker-${version}.js`);
cpSync(join(projectDirectory, ".wrangler", "dry-run", "worker.js"), worker);
describeParts(worker, []);
packChart(epoch);
const trees = (Object.keys(architectures) as Architecture[])
  .filter((name) => values.architecture === undefined || values.architecture === name)
  .map(installTree);
for (const tree of trees) describeParts(buildDebian(tree, epoch), executableComponents(tree));
if (values.image) {
  const images = trees.map((tree) => {
    const image = buildImage(tree.architecture, epoch, positionals);
    describeParts(image.file, [...executableComponents(tree), ...image.components]);
    return image;
  });
  if (images.length > 1) packIndex(images, epoch);
}
writeSums();
