/**
 * `npm run paths [-- --files]`: which source files a request passes, and how many lines the functions have that it
 * calls. The requests carry a bearer token and have been made before, so what an isolate does first is not counted.
 */
import { parseArgs } from "node:util";
import { measurePaths } from "./measure.ts";

const { values } = parseArgs({ options: { files: { type: "boolean", default: false } } });
for (const { does, files } of await measurePaths()) {
  const lines = files.reduce((sum, each) => sum + each.lines, 0);
  console.log(`${does}: ${files.length} files, ${lines} lines`);
  if (values.files) for (const each of files) console.log(`  ${each.file} ${each.lines}`);
}
