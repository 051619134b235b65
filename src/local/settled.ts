/**
 * What is known to survive a power cut, so that it is not synced again. Names of parts and of folders are never used for
 * anything else; `whole` and `index` may be written anew.
 */
import { type DiskFile, isPartName } from "../storage/disk-files.ts";

/** Of so many folders it is known; what is forgotten is synced once more. */
const maxFolders = 1000;

/** The newest folders that last, each with its files that do. */
export class Settled {
  readonly #folders = new Map<string, Set<string>>();
  /** Whether the folder that all are in lasts. */
  hasParent = false;

  hasFolder(folder: string): boolean {
    return this.#folders.has(folder);
  }

  hasFile(folder: string, name: string): boolean {
    return this.#folders.get(folder)?.has(name) === true;
  }

  add(folder: string, files: DiskFile[]): void {
    this.hasParent = true;
    const known = this.#folders.get(folder) ?? new Set();
    for (const { name } of files) if (isPartName(name)) known.add(name);
    this.#folders.delete(folder);
    this.#folders.set(folder, known);
    const [oldest] = this.#folders.keys();
    if (oldest !== undefined && this.#folders.size > maxFolders) this.#folders.delete(oldest);
  }
}
