/**
 * To be run before what is large is imported: from then on, compiled code is kept between starts. Compiling Miniflare
 * takes half of the time that loading it does.
 */
import module from "node:module";
import { join } from "node:path";

/** What the local server keeps between starts; whoever deletes it loses time, and nothing else. */
export const cacheDirectory = join(import.meta.dirname, "..", "..", "node_modules", ".cache", "stowage");

// A folder that cannot be written is done without. Deno has a cache of its own, and no such function.
module.enableCompileCache?.(join(cacheDirectory, "compiled"));
