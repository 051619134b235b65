/**
 * The data directory: made if it is not there, and locked, because two servers on the same files would
 * destroy each other's data.
 *
 * The lock is SQLite's lock on an empty database file, held for as long as the process lives. The kernel
 * releases it with the process, however that ends: a lock cannot be stale, and no pid has to be checked.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { removeIfPossible, writeIfRoom } from "./files.ts";
import { messageOf } from "./message-of.ts";

/** A data directory that this process holds. */
export interface DataDirectory {
  /** Absolute path, free of symbolic links. */
  path: string;
  /** Records this process for a second server's error message. */
  announce(url: string): void;
  /** Releases the directory for another process. */
  release(): void;
}

/** A data directory cannot be used; the message says why, in a sentence. */
export class DataDirectoryError extends Error {
  override name = "DataDirectoryError";
}

const holderFile = "server.json";
/** A server that was killed a moment ago may still be ending. */
const patienceMs = 200;

/** Kept from the garbage collector: a collected lock is released. */
const held = new Set<DatabaseSync>();

function holder(path: string): string {
  try {
    const { pid, url }: { pid: number; url: string } = JSON.parse(
      readFileSync(join(path, holderFile), "utf8"),
    );
    return ` (process ${pid}, ${url})`;
  } catch {
    return "";
  }
}

/** mkdir -p. Node's own never returns where a file system, such as /proc, refuses with ENOENT. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    makeDirectory(dirname(path));
    mkdirSync(path);
  }
}

/** Every data directory has one of these. */
const marks = ["lock", "bucket", "do"];
/** What a server makes in it. */
const own: ReadonlySet<string> = new Set([...marks, "files", "data-versions", "reserve", "sockets"]);
/** What it makes besides, which says nothing of whose the data is. */
const passing: ReadonlySet<string> = new Set([holderFile, "workerd.pid"]);
/** A record that was not written to its end, before it got its name (files.ts). */
const unfinished = /^(?:bucket|data-versions)\.[\da-f-]{36}$/;
/** Entries that volumes and desktops create in a directory by themselves. */
const ofOthers = /^(?:\..*|lost\+found)$/;

/**
 * Otherwise a folder of something else would be closed to others, and lose what has the names of old data. A name such as
 * `lock` or `cache` says little: there must be data, or nothing but what an unfinished start leaves.
 */
function refuseForeign(path: string): void {
  if (!statSync(path).isDirectory()) {
    throw new DataDirectoryError(`${path} is a file, and must be a directory to be the data directory`);
  }
  const names = readdirSync(path).filter((name) => !ofOthers.test(name));
  const isOfStart = (name: string) => own.has(name) || passing.has(name) || unfinished.test(name);
  const isBegun = marks.some((name) => names.includes(name)) && names.every(isOfStart);
  if (names.length === 0 || isBegun || hasRecord(path) || hasObjects(path)) return;
  throw new DataDirectoryError(
    `the directory ${path} has something else in it than a registry's data: name one with --data that is new or empty`,
  );
}

/** Whether the directory says how its blobs are kept (data-layout.ts), perhaps to another user alone. */
function hasRecord(path: string): boolean {
  try {
    return /^(?:disk|r2)\b/.test(readFileSync(join(path, "bucket"), "utf8"));
  } catch (error) {
    // Who owns the data is looked at next.
    return (error as NodeJS.ErrnoException).code === "EACCES";
  }
}

/** Whether there are Durable Objects in it: workerd has a file of this name for each class. */
function hasObjects(path: string): boolean {
  try {
    const classes = readdirSync(join(path, "do"));
    return classes.some((name) => existsSync(join(path, "do", name, "metadata.sqlite")));
  } catch {
    return false;
  }
}

/** A user who can read the directory has the key that signs tokens, and all private images. */
function refuseReaders(path: string): void {
  const mode = statSync(path).mode & 0o777;
  // Windows has no such modes, and reports that everybody may.
  if (process.platform === "win32" || (mode & 0o077) === 0) return;
  throw new DataDirectoryError(
    `others on this machine can read the data directory ${path} (mode ${mode.toString(8)}), and with it every secret: ` +
      `close it with \`chmod 700 ${path}\`, or accept it with --allow-shared-data`,
  );
}

/**
 * What one user writes there, another one cannot open: a single start as root would end those of the service's user. What
 * the server has made there is looked at as well, as such a start may have been before; root itself opens it all.
 */
function refuseOtherOwner(path: string): void {
  // Windows has no such owners.
  const user = process.getuid?.();
  if (user === undefined) return;
  const names = user === 0 ? [] : readdirSync(path).filter((name) => own.has(name));
  for (const each of [path, ...names.map((name) => join(path, name))]) {
    const owner = lstatSync(each).uid;
    if (owner === user) continue;
    const asOwner = each === path ? `Start it as the user ${owner}, or give` : "Give";
    throw new DataDirectoryError(
      `${each} belongs to the user ${owner}, and this server runs as the user ${user}: what one writes, the other cannot open. ` +
        `${asOwner} the data to this one with \`chown -R ${user} ${path}\`, or accept it with --allow-shared-data`,
    );
  }
}

/**
 * Creates the directory if necessary, and locks it. Files that this process creates from now on are for its user alone,
 * unless the directory is shared.
 *
 * @param options.isShared whether others on this machine may read it, or own it
 * @throws DataDirectoryError if it cannot be written, has something else in it, others can read it or own it, or another
 *   server holds it
 */
export function openDataDirectory(
  directory: string,
  { isShared = false }: { isShared?: boolean } = {},
): DataDirectory {
  if (!isShared) process.umask(0o077);
  const unusable = (error: unknown) =>
    error instanceof DataDirectoryError
      ? error
      : new DataDirectoryError(`the data directory ${directory} cannot be written: ${messageOf(error)}`);
  let path: string;
  let lock: DatabaseSync;
  try {
    makeDirectory(resolve(directory));
    path = realpathSync(directory);
    refuseForeign(path);
    if (!isShared) {
      refuseReaders(path);
      refuseOtherOwner(path);
    }
    // SQLite's own error does not say what is wrong with the file.
    writeFileSync(join(path, "lock"), "", { flag: "a" });
    lock = new DatabaseSync(join(path, "lock"));
  } catch (error) {
    throw unusable(error);
  }
  try {
    lock.exec(`PRAGMA busy_timeout = ${patienceMs}; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE`);
  } catch (error) {
    lock.close();
    if (!(error instanceof Error) || !error.message.includes("locked")) throw unusable(error);
    throw new DataDirectoryError(`another server is running on the data directory ${path}${holder(path)}`);
  }
  held.add(lock);
  const forget = () => removeIfPossible(join(path, holderFile));
  // It is about a server that was killed: by now, its pid may be another program's.
  forget();
  return {
    path,
    announce: (url) => writeIfRoom(join(path, holderFile), `${JSON.stringify({ pid: process.pid, url })}\n`),
    release: () => {
      forget();
      held.delete(lock);
      lock.close();
    },
  };
}
