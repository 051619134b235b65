import { guessedNames } from "./workloads/names.ts";
const outcome = await guessedNames.run({ repetitions: 1, isQuick: false, peers: [], progress: (text) => console.log(text) });
console.log(JSON.stringify(outcome.figures.map(({ name, samples }) => [name, samples])));
