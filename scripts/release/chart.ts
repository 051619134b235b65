/** The Helm chart as an archive that is the same each time, which `helm package` does not make. */
import { join } from "node:path";
import { version } from "../../src/version.ts";
import { manifest, projectDirectory, releaseDirectory } from "./places.ts";
import { fixedFlags, tar } from "./tar.ts";

/** Packs deploy/chart into dist/release; everything in it has this time. */
export function packChart(epochSeconds: number): string {
  const file = join(releaseDirectory, `${manifest.name}-chart-${version}.tgz`);
  const owned = ["--owner=0", "--group=0", "--mode=u=rwX,go=rX"];
  const renamed = `--transform=s,^chart,${manifest.name},`;
  const from = ["-C", join(projectDirectory, "deploy"), "chart"];
  tar(
    "--use-compress-program=gzip -9n",
    "-cf",
    file,
    ...fixedFlags(epochSeconds),
    ...owned,
    renamed,
    ...from,
  );
  return file;
}
