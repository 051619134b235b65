/** The Helm chart as an archive that is the same each time, which `helm package` does not make. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { version } from "../../src/version.ts";
import { manifest, projectDirectory, releaseDirectory } from "./places.ts";

/** Packs deploy/chart into dist/release; everything in it has this time. */
export function packChart(epochSeconds: number): string {
  const file = join(releaseDirectory, `${manifest.name}-chart-${version}.tgz`);
  const normal = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"];
  const renamed = `--transform=s,^chart,${manifest.name},`;
  execFileSync(
    "tar",
    ["--use-compress-program=gzip -9n", "-cf", file, ...normal, `--mtime=@${epochSeconds}`, renamed, "chart"],
    { cwd: join(projectDirectory, "deploy") },
  );
  return file;
}
