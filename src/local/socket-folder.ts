/** Where the Unix sockets of a server are: in a folder that is nobody else's. */
import { lstatSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { writeIfRoom } from "./files.ts";

const prefix = join(tmpdir(), "stowage-");

/**
 * Makes the folder (mkdtemp lets nobody else in), which goes with the process. Its path is short, as a socket's may have
 * a hundred characters. What a server that was killed left behind is removed first.
 *
 * @param dataDirectory absolute path; a file in it says where the folder is
 */
export function makeSocketFolder(dataDirectory: string): string {
  const record = join(dataDirectory, "sockets");
  const leftOver = readLeftOver(record, dataDirectory);
  if (leftOver !== undefined) rmSync(leftOver, { recursive: true, force: true });
  const folder = mkdtempSync(prefix);
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  // Without it, what is left over is an empty folder.
  writeIfRoom(record, `${folder}\n${dataDirectory}\n`);
  return folder;
}

/** The folder that is to be removed. The record of a copied data directory is about the server that it was copied from. */
function readLeftOver(record: string, dataDirectory: string): string | undefined {
  try {
    const [folder = "", owner] = readFileSync(record, "utf8").split("\n");
    const isOne = folder.startsWith(prefix) && !folder.slice(prefix.length).includes(sep);
    return isOne && owner === dataDirectory && isOwn(folder) ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** Once it was removed, anybody may have made something of that name: only one's own folder is nobody else's. */
function isOwn(folder: string): boolean {
  const stats = lstatSync(folder);
  return stats.isDirectory() && (process.getuid === undefined || stats.uid === process.getuid());
}
