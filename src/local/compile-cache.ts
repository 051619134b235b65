/**
 * Import it before large modules: from then on, compiled code is kept between starts. That saves a quarter of a second
 * per start.
 *
 * It is kept next to the program, because a user who can write it can run code as this user. Node's default, a known name
 * in the folder for temporary files, could be created beforehand by any user.
 */
import module from "node:module";
import { join } from "node:path";

/** The folder that the local server keeps between starts; deleting it only costs time. */
export const cacheDirectory = join(import.meta.dirname, "..", "..", "node_modules", ".cache", "stowage");

// If the folder cannot be written, nothing is cached. Deno has a cache of its own, and no such function.
module.enableCompileCache?.(join(cacheDirectory, "compiled"));
