/**
 * Builds the interface (src/ui) into a module of the Worker, dist/interface.js: script, style, icon and page, each
 * gzipped. package.json maps `#interface` to it.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Plugin } from "esbuild";
import type { InterfaceFile } from "../edge/interface/files.ts";
import { writeForAll } from "./files.ts";

const project = join(import.meta.dirname, "..", "..");
const sources = join(project, "src", "ui");
const target = join(project, "dist", "interface.js");

/**
 * Builds the interface, unless it was built from the same sources before.
 *
 * @throws esbuild's BuildFailure, whose message lists what is wrong in the source; an error of the file system if the
 *   module cannot be kept
 */
export async function buildInterface(): Promise<void> {
  const { text, isKept } = await readOrBuild(target);
  if (!isKept) writeForAll(target, text);
}

/**
 * The text of the module: of the built one, if the sources have not changed since; otherwise it is built now, and kept if
 * this user may write there.
 *
 * @param file where it is kept
 * @throws esbuild's BuildFailure, as above
 */
export async function readInterface(file: string = target): Promise<string> {
  const { text, isKept } = await readOrBuild(file);
  if (isKept) return text;
  try {
    writeForAll(file, text);
  } catch {
    // Another user's installation, or a disk that is full or read-only: the next start builds it again.
  }
  return text;
}

async function readOrBuild(file: string): Promise<{ text: string; isKept: boolean }> {
  const mark = `// ${hashSources()}\n`;
  const kept = readText(file);
  if (kept?.startsWith(mark)) return { text: kept, isKept: true };
  const files = await bundleInterface();
  return { text: `${mark}export const files = ${JSON.stringify(files)};\n`, isKept: false };
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** The files of the interface, made anew. `plugins` see what is bundled. */
export async function bundleInterface(plugins: Plugin[] = []): Promise<InterfaceFile[]> {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    absWorkingDir: project,
    bundle: true,
    entryPoints: { app: "src/ui/main.tsx" },
    format: "esm",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    logLevel: "silent",
    minify: true,
    outdir: "dist",
    plugins,
    target: ["chrome123", "firefox120", "safari17.5"],
    tsconfig: "src/ui/tsconfig.json",
    write: false,
  });
  const [script, style] = ["js", "css"].map((extension) => {
    const output = outputFiles.find(({ path }) => path.endsWith(`.${extension}`));
    if (output === undefined) throw new Error(`the interface has no ${extension}`);
    return fileOf(`app.${extension}`, Buffer.from(output.contents));
  }) as [InterfaceFile, InterfaceFile];
  const icon = fileOf("icon.svg", readFileSync(join(sources, "icon.svg")));
  const page = readFileSync(join(sources, "page.html"), "utf8")
    .replace("{style}", style.name)
    .replace("{script}", script.name)
    .replace("{icon}", icon.name);
  return [{ ...fileOf("page.html", Buffer.from(page)), name: "page.html" }, script, style, icon];
}

const types: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

function fileOf(name: string, content: Buffer): InterfaceFile {
  const [base = "", extension = ""] = name.split(".");
  const hash = createHash("sha256").update(content).digest("base64url").slice(0, 12);
  return {
    name: `${base}-${hash}.${extension}`,
    contentType: types[extension] ?? "application/octet-stream",
    gzipped: gzipSync(content, { level: 9 }).toString("base64"),
    hash,
  };
}

/** A digest of everything that the build reads. Dependencies are those of package-lock.json. */
function hashSources(): string {
  const names = readdirSync(sources, { encoding: "utf8", recursive: true }).filter((name) =>
    /\.\w+$/.test(name),
  );
  const read = [
    join(project, "package-lock.json"),
    import.meta.filename,
    ...names.sort().map((name) => join(sources, name)),
  ];
  const hash = createHash("sha256");
  for (const file of read) hash.update(`${file}\n`).update(readFileSync(file)).update("\0");
  return hash.digest("hex");
}
