/** Whole images of five layers: pushed, pulled, and pulled by a cluster at once. */
import { newImage, pullImage, pushImage } from "../image.ts";
import { type Figure, inTurns, secondsOf } from "../measure.ts";
import { mebibyte } from "../payload.ts";
import { startServer } from "../program.ts";
import type { Target } from "../target.ts";
import type { Workload } from "../workload.ts";

const repository = "bench/images";
const layers = 5;
const crowd = 64;

type Step = { figure: Figure; run: (repetition: number) => Promise<number> };

/** The steps with one target. Each repetition pushes an image that was never seen, and pulls it. */
function stepsOf(target: Target, layerBytes: number): Step[] {
  const figure = (what: string): Figure => ({ name: `${what}, ${target.name}`, unit: "s", samples: [] });
  let image = newImage(layers, layerBytes);
  return [
    {
      figure: figure("push"),
      run: (repetition) => {
        image = newImage(layers, layerBytes);
        return secondsOf(() => pushImage(target, repository, `t${repetition}`, image));
      },
    },
    {
      figure: figure("pull"),
      run: (repetition) => secondsOf(() => pullImage(target, repository, `t${repetition}`, image)),
    },
    {
      figure: figure(`pull, ${crowd} clients of one tag at once`),
      run: (repetition) =>
        secondsOf(() =>
          Promise.all(
            Array.from({ length: crowd }, () => pullImage(target, repository, `t${repetition}`, image)),
          ),
        ),
    },
  ];
}

/** A push, a pull and a crowd, with each registry in turn. */
export const images: Workload = {
  name: "images",
  shows: `a whole image with ${layers} layers of 2 MiB: pushed, pulled, and pulled by ${crowd} clients at once`,
  run: async ({ repetitions, isQuick, peers, progress }) => {
    await using instance = await startServer();
    const layerBytes = isQuick ? mebibyte / 4 : 2 * mebibyte;
    const all = [instance.target, ...peers].map((target) => stepsOf(target, layerBytes));
    await inTurns(all, repetitions, async (steps, repetition) => {
      for (const { figure, run } of steps) {
        const seconds = await run(repetition);
        figure.samples.push(seconds);
        progress(`${figure.name} ${repetition + 1}/${repetitions}: ${seconds.toFixed(2)} s`);
      }
    });
    return { figures: all.flat().map(({ figure }) => figure), comparisons: [] };
  },
};
