/**
 * `node test/shipped/with-docker.ts COMMAND…`: runs a command beside a Docker daemon of its own, which has the images to
 * build the registry's image on. Nothing is asked of Docker Hub. `{bases}` in the command stands for the flags of
 * `docker build` that name them, and `{base}` for the same flags, if the image is built for this machine's architecture
 * alone.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type Architecture, architectures, ownArchitecture } from "../../scripts/release/tree.ts";
import { startDocker } from "../clients/support/docker.ts";
import { baseFlags, makeBaseImages } from "./support/base-image.ts";

await using ends = new AsyncDisposableStack();
const owner = { after: (end: () => Promise<void>) => ends.defer(end) };
const docker = await startDocker(owner);
const words = process.argv.slice(2);
const all = Object.keys(architectures) as Architecture[];
await makeBaseImages(owner, docker, words.includes("{bases}") ? all : [ownArchitecture()]);
const [file = "", ...args] = words.flatMap((word) => (/^{bases?}$/.test(word) ? baseFlags : [word]));
const child = spawn(file, args, { env: { ...process.env, ...docker.env }, stdio: "inherit" });
const [code] = await once(child, "exit");
process.exitCode = code ?? 1;
