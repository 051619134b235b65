/** Changes sources while they are bundled: exact texts, which must be there. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Plugin } from "esbuild";
import { projectDirectory } from "../../../src/local/workerd/bundle.ts";

/** A text in a file of the project, and what takes its place. */
export type Replacement = { file: string; from: string; to: string };

/**
 * The contents of a file after these replacements, one after the other.
 *
 * @throws Error if a text is not there exactly once
 */
export function replaced(contents: string, replacements: readonly Replacement[]): string {
  return replacements.reduce((before, { file, from, to }) => {
    const pieces = before.split(from);
    if (pieces.length !== 2) throw new Error(`${file} has ${pieces.length - 1} times: ${from}`);
    return pieces.join(to);
  }, contents);
}

/** An esbuild plugin that replaces texts. The build fails where a text is not there exactly once. */
export function replacing(replacements: Replacement[]): Plugin {
  const byPath = Map.groupBy(replacements, ({ file }) => join(projectDirectory, file));
  return {
    name: "replacing",
    setup: ({ onLoad, onEnd }) => {
      const unread = new Set(replacements.map(({ file }) => file));
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const own = byPath.get(path);
        if (own === undefined) return undefined;
        for (const { file } of own) unread.delete(file);
        return { contents: replaced(await readFile(path, "utf8"), own), loader: "ts" };
      });
      onEnd(() => ({ errors: [...unread].map((file) => ({ text: `${file} is not part of the Worker` })) }));
    },
  };
}
