/** Bugs of the reverse proxy: heads, bodies, answers and files. */
import { bug, type TestedBug } from "./tested-bug.ts";

const head = "src/local/proxy/request-head.ts";

export const ofProxy: Record<string, TestedBug> = {
  "a client says its own address": bug(
    "test/local/proxy/protocol.test.ts",
    "passes on what it has understood, in its own words",
    head,
    "  addressHeader.toLowerCase(),\n",
    "",
  ),
  "a client's own secret is passed on": bug(
    "test/local/proxy/protocol.test.ts",
    "passes on what it has understood, in its own words",
    head,
    "  secretHeader.toLowerCase(),\n",
    "",
  ),
  "of two encodings the last one counts alone": bug(
    "test/local/proxy/protocol.test.ts",
    "refuses what is malformed or of two meanings, and passes none of it on",
    head,
    "encoding = encoding === undefined ? value : `${encoding}, ${value}`",
    "encoding = value",
  ),
};
