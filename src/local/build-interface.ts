/** Builds the interface for wrangler, which runs this before it bundles the Worker (wrangler.toml). */
import { buildInterface } from "./interface.ts";

await buildInterface();
