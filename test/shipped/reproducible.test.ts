/** What is made again of the same sources is the same, byte by byte: later, in another folder, by somebody else. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { projectDirectory } from "../../scripts/release/places.ts";
import { ownArchitecture } from "../../scripts/release/tree.ts";
import { hasPrograms, run } from "../clients/support/programs.ts";
import { temporaryDirectory } from "../local/program.ts";
import { artefact } from "./support/artefacts.ts";

/** The lines of SHA256SUMS of what is made without docker, for this machine. */
function sums(file: string): string[] {
  const isMade = (line: string) =>
    line !== "" && !line.includes("-image-") && (!line.includes(".deb") || line.includes(ownArchitecture()));
  return readFileSync(file, "utf8").split("\n").filter(isMade);
}

/** Another folder with the sources, and with times and modes of files that are its own. */
const copySources =
  "umask 077; git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | tar -xm --no-same-permissions -C";
const make = `umask 077; exec node scripts/release/main.ts --architecture ${ownArchitecture()}`;

test("the program, the Worker, the package, the chart and their bills of materials are the same again", async (t) => {
  if (!hasPrograms(t, "npm", "dpkg-deb", "git")) return;
  const folder = temporaryDirectory(t);
  execFileSync("sh", ["-c", `${copySources} "$0"`, folder], { cwd: projectDirectory });
  execFileSync("cp", ["-a", join(projectDirectory, "node_modules"), folder]);
  const args = ["log", "-1", "--format=%ct"];
  const time = execFileSync("git", args, { cwd: projectDirectory, encoding: "utf8" }).trim();
  const env = { SOURCE_DATE_EPOCH: time, TZ: "Asia/Kathmandu", LC_ALL: "C" };
  await run("sh", ["-c", `cd "$0" && ${make}`, folder], { env });
  const made = sums(join(folder, "dist", "release", "SHA256SUMS"));
  assert.equal(made.length, 7);
  assert.deepEqual(made, sums(artefact("SHA256SUMS")));
});
