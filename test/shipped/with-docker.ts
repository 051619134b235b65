/**
 * `node test/shipped/with-docker.ts COMMAND…`: runs a command beside a Docker daemon of its own, which has the images to
 * build the registry's image on. Nothing is asked of Docker Hub. `{bases}` in the command stands for the flags of
 * `docker build` that name them.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { startDocker } from "../clients/support/docker.ts";
import { baseFlags, makeBaseImages } from "./support/base-image.ts";

const cleanups: (() => unknown)[] = [];
const after = (work?: unknown) => {
  if (typeof work === "function") cleanups.unshift(() => work());
};
try {
  const docker = await startDocker({ after });
  await makeBaseImages({ after }, docker);
  const [file = "", ...args] = process.argv
    .slice(2)
    .flatMap((word) => (word === "{bases}" ? baseFlags : [word]));
  const child = spawn(file, args, { env: { ...process.env, ...docker.env }, stdio: "inherit" });
  const [code] = await once(child, "exit");
  process.exitCode = code ?? 1;
} finally {
  for (const cleanup of cleanups) await cleanup();
}
