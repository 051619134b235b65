/** What a specification says of registries, as data: each statement with the check that holds the registry to it. */
import type { World } from "./world.ts";

/** One statement. Its test and its row in docs/conformance.md have its id. */
export type Statement = {
  /** Short, in kebab-case, and the only one of its name. */
  id: string;
  /** The words of the specification; `…` stands for what was left out. */
  quote: string;
  /** What the registry does where the words leave it to choose, or leave something open. */
  choice?: string;
  /** Fails where the registry does otherwise. */
  check: (world: World) => Promise<void>;
};

/** A section of a specification, by its heading there. */
export type Section = {
  document: "distribution-spec" | "image-spec";
  title: string;
  statements: Statement[];
  /** What the section says with a key word of clients, or of content, and no registry can do or check. */
  ofClients?: string[];
};

/** How much a statement asks: the strongest key word of RFC 2119 in it, or `says` where it just says how it is. */
export type Level = "MUST" | "SHOULD" | "MAY" | "says";

/** The level of a statement. */
export function levelOf({ quote }: Statement): Level {
  if (/\b(MUST|REQUIRED)\b/.test(quote)) return "MUST";
  if (/\b(SHOULD|RECOMMENDED)\b/.test(quote)) return "SHOULD";
  return /\b(MAY|OPTIONAL)\b/.test(quote) ? "MAY" : "says";
}
