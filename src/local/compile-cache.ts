/**
 * To be run before what is large is imported: from then on, compiled code is kept between starts. That is a quarter of a
 * second of each.
 *
 * It is kept with the program, for as whoever can write it runs code as this user. Node's own choice, a known name in
 * the folder for temporary files, could be made by anybody beforehand.
 */
import module from "node:module";
import { join } from "node:path";

/** What the local server keeps between starts; whoever deletes it loses time, and nothing else. */
export const cacheDirectory = join(import.meta.dirname, "..", "..", "node_modules", ".cache", "stowage");

// A folder that cannot be written is done without. Deno has a cache of its own, and no such function.
module.enableCompileCache?.(join(cacheDirectory, "compiled"));
