/** A bundle whose functions note that they were called, so that the files a request passes can be listed. */
import { type Node, parse } from "acorn";

/** A function of the bundle: the source file it is from, and how many lines of it are its own. */
export type Counted = { file: string; lines: number };

/** The bundle, and its functions by the numbers that they note in `globalThis.passed`. */
export type Instrumented = { script: string; functions: Counted[] };

type FunctionNode = Node & { body: Node; expression?: boolean };

function isFunction(node: Node): node is FunctionNode {
  return /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type);
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}

function childrenOf(node: Node): Node[] {
  return Object.values(node).flat().filter(isNode);
}

/**
 * Has every function of a bundle note its number in the set `globalThis.passed` when it is called.
 *
 * @param bundle what esbuild made, with its comments that name the files
 */
export function instrument(bundle: string): Instrumented {
  const functions: Counted[] = [];
  const insertions: { at: number; text: string }[] = [];
  const fileAt = filesOf(bundle);
  const linesOf = (start: number, end: number) => bundle.slice(start, end).split("\n").length;

  /** Visits the functions under a node; returns how many lines they take. */
  const visit = (node: Node): number => {
    const inner = childrenOf(node).reduce((sum, child) => sum + visit(child), 0);
    if (!isFunction(node)) return inner;
    const lines = linesOf(node.start, node.end);
    const number = functions.push({ file: fileAt(node.start), lines: Math.max(1, lines - inner) }) - 1;
    const { start, end } = node.body;
    if (node.expression === true) {
      insertions.push({ at: start, text: `(passed.add(${number}), ` }, { at: end, text: ")" });
    } else insertions.push({ at: start + 1, text: ` passed.add(${number});` });
    return lines;
  };
  visit(parse(bundle, { ecmaVersion: "latest", sourceType: "module" }));

  let [script, from] = ["globalThis.passed = new Set();\n", 0];
  for (const { at, text } of insertions.sort((a, b) => a.at - b.at)) {
    script += bundle.slice(from, at) + text;
    from = at;
  }
  return { script: script + bundle.slice(from), functions };
}

/** Tells of a position which file esbuild's last comment before it names. */
function filesOf(bundle: string): (position: number) => string {
  const starts = Array.from(bundle.matchAll(/^\/\/ (\S+\.[jt]s)$/gm), ({ index, 1: file = "" }) => ({
    index,
    file,
  }));
  return (position) => starts.findLast(({ index }) => index <= position)?.file ?? "";
}
