/** A small image, pushed by docker. */
import { hasDocker, startDocker } from "../docker.ts";
import { type Comparison, type Figure, inTurns, ratio, secondsOf } from "../measure.ts";
import { startServer } from "../program.ts";
import type { Workload } from "../workload.ts";

const layers = 3;
const layerBytes = 10 * 1024;

/** `docker push` of images that no registry has seen, to each in turn. */
export const dockerPush: Workload = {
  name: "docker-push",
  shows: `an image with ${layers} layers of 10 KB, pushed by docker`,
  isLong: true,
  run: async ({ repetitions, peers, progress }) => {
    if (!hasDocker()) {
      progress("docker and dockerd are not installed, or this is not root: nothing is measured");
      return { figures: [], comparisons: [] };
    }
    await using docker = await startDocker();
    await using server = await startServer();
    const pushes = [server.target, ...peers].map(({ name, url }) => ({
      image: `${new URL(url).host}/bench/docker`,
      figure: { name: `docker push, ${name}`, unit: "s", samples: [] } as Figure,
    }));
    const push = async (image: string) => {
      await docker.build(image, layers, layerBytes);
      return secondsOf(() => docker.run("push", image));
    };
    for (const { image } of pushes) await push(`${image}:first`);
    await inTurns(pushes, repetitions, async ({ image, figure }, repetition) => {
      const seconds = await push(`${image}:t${repetition}`);
      figure.samples.push(seconds);
      progress(`${figure.name} ${repetition + 1}/${repetitions}: ${seconds.toFixed(2)} s`);
    });
    const [own, ...others] = pushes.map(({ figure }) => figure);
    const comparisons = others.map((peer): Comparison => {
      const value = own === undefined ? Number.NaN : ratio(own, peer);
      return { name: `${own?.name} / ${peer.name}`, value, unit: "times", limit: 1 };
    });
    return { figures: pushes.map(({ figure }) => figure), comparisons };
  },
};
