/** The folder of a server's Unix sockets, which belongs to its user alone. */
import { lstatSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { writeIfRoom } from "./files.ts";

const prefix = join(tmpdir(), "stowage-");

/**
 * Makes the folder (mkdtemp makes it private), which is removed with the process. Its path is short, because a socket's
 * may have only a hundred characters. The folder of a server that was killed is removed first.
 *
 * @param dataDirectory absolute path; a file in it records the folder
 */
export function makeSocketFolder(dataDirectory: string): string {
  const record = join(dataDirectory, "sockets");
  const leftOver = readLeftOver(record, dataDirectory);
  if (leftOver !== undefined) rmSync(leftOver, { recursive: true, force: true });
  const folder = mkdtempSync(prefix);
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  // Without the record, only an empty folder is left over.
  writeIfRoom(record, `${folder}\n${dataDirectory}\n`);
  return folder;
}

/** The folder to remove. In a copied data directory, the record is about the server of the original. */
function readLeftOver(record: string, dataDirectory: string): string | undefined {
  try {
    const [folder = "", owner] = readFileSync(record, "utf8").split("\n");
    const isOne = folder.startsWith(prefix) && !folder.slice(prefix.length).includes(sep);
    return isOne && owner === dataDirectory && isOwn(folder) ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** After a removal, any user may have made something of that name: only this user's own folder can be trusted. */
function isOwn(folder: string): boolean {
  const stats = lstatSync(folder);
  return stats.isDirectory() && (process.getuid === undefined || stats.uid === process.getuid());
}
