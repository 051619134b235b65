/**
 * How much room the disk of one machine has for pushes. Part of it, the reserve, is kept free for deletions,
 * collection, logins and starts, all of which write to databases on the same disk.
 *
 * The local server measures the free space, but not for every push: a measurement is used for as long as other programs
 * would need to fill half of the space that is left. Meanwhile, the bytes that were written since and those that bodies
 * in flight have announced are subtracted. All objects of one machine share an isolate, and so this account.
 */

import type { Env } from "../bindings.ts";
import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import { log } from "../log.ts";
import { settingsOf } from "../settings/settings.ts";
import { gibibyte, mebibyte } from "../units.ts";
import { BucketFailed } from "./bucket.ts";
import { openFsyncService } from "./fsync.ts";

/** A volume, in bytes: its free space, and its total size. */
export type Volume = { freeBytes: number; totalBytes: number };

/** A volume, and the reserve that pushes must leave free. `isLow`: the free space is close to the reserve or less. */
export type DiskState = Volume & { reserveBytes: number; isLow: boolean };

/** There is no space for the bytes to be written. */
export class DiskFull extends BucketFailed {
  override name = "DiskFull";

  constructor() {
    super("no space left on the disk", { bodyBroke: false });
  }
}

/** Space that is reserved for a body while it is received. {@link release} must be called in the end. */
export interface Claim {
  /** To be called before bytes are written. Throws {@link DiskFull} if there is no space for them. */
  take(bytes: number): Promise<void>;
  /** Releases the space that was not used. */
  release(): void;
}

/**
 * A reservation for a body: how much of it is still to come, how much of that is set aside, and when the body last
 * received bytes.
 */
type SetAside = { leftBytes: number; asideBytes: number; heardAtMs: number };

/** An isolate's account of its disk. `writtenBytes` and `looks` (measurements) count from the isolate's start. */
export type DiskAccount = {
  measured: (Volume & { atMs: number; look: number; writtenBytes: number }) | undefined;
  looks: number;
  writtenBytes: number;
  setAside: Set<SetAside>;
  /** The sum of what they have set aside. */
  declaredBytes: number;
  isLow: boolean;
  /** Whether it was reported as low. */
  isToldLow: boolean;
};

/** The account of a disk that was not measured yet. */
export function emptyAccount(): DiskAccount {
  return {
    measured: undefined,
    looks: 0,
    writtenBytes: 0,
    setAside: new Set(),
    declaredBytes: 0,
    isLow: false,
    isToldLow: false,
  };
}

const shared = emptyAccount();

/** Below how many times the reserve free space becomes low, and from how many on it is no longer low. */
const lowReserves = 1.25;
export const enoughReserves = 1.5;

/** The assumed maximal speed of other writers, in bytes a millisecond; and how long a measurement is used at most. */
const fastestFill = 1024 * 1024;
const longestMs = 30_000;
/**
 * After this time without bytes, the reservation of a body expires. If an object fails, as it does when it cannot
 * write, its work ends at once, and the reservations of its bodies are never released.
 */
const lostAfterMs = 5 * 60_000;

/**
 * How much is set aside for a body at most. The length that a client announces costs it nothing: if all of it were set
 * aside, one request that sends nothing could have all other pushes refused.
 */
const mostAsideBytes = gibibyte;

/** The default reserve: 256 MiB or a hundredth of the volume, but at most a tenth. */
export function usualReserve(totalBytes: number): number {
  return Math.floor(Math.min(Math.max(256 * mebibyte, totalBytes / 100), totalBytes / 10));
}

/** The space on one disk. */
export class DiskSpace {
  readonly #measure: () => Promise<Volume>;
  readonly #reserveBytes: number | undefined;
  readonly #clock: Clock;
  readonly #account: DiskAccount;

  /**
   * `measure` measures the disk. `reserveBytes`: `undefined` for the default, 0 for no reserve, so nothing is refused.
   */
  constructor(
    measure: () => Promise<Volume>,
    reserveBytes: number | undefined,
    clock: Clock = systemClock,
    account: DiskAccount = shared,
  ) {
    this.#measure = measure;
    this.#reserveBytes = reserveBytes;
    this.#clock = clock;
    this.#account = account;
  }

  /** Whether a push of this many bytes may begin. */
  async hasRoom(bytes: number): Promise<boolean> {
    await this.#refresh(bytes);
    return this.#room(bytes) > 0;
  }

  /** Reserves space for a body; 0 if its length is not known. Throws {@link DiskFull} if there is no space. */
  async claim(bytes: number): Promise<Claim> {
    const account = this.#account;
    if (!(await this.hasRoom(bytes)) || this.#room(bytes) <= 0) throw new DiskFull();
    const aside = { leftBytes: bytes, asideBytes: 0, heardAtMs: this.#clock.now() };
    account.setAside.add(aside);
    this.#setAside(aside, bytes);
    return {
      take: async (taken) => {
        aside.heardAtMs = this.#clock.now();
        const declared = Math.min(aside.leftBytes, taken);
        this.#setAside(aside, aside.leftBytes - declared);
        account.writtenBytes += declared;
        const more = taken - declared;
        await this.#refresh(more);
        // A body for which all is set aside may use some of the reserve, as databases and other programs have written
        // meanwhile.
        const isReserved = more === 0 && bytes <= mostAsideBytes;
        const least = isReserved ? -this.#reserve() / 2 : 0;
        if (this.#room(more) < least) throw new DiskFull();
        account.writtenBytes += more;
      },
      release: () => this.#release(aside),
    };
  }

  #setAside(aside: SetAside, leftBytes: number): void {
    const asideBytes = Math.min(leftBytes, mostAsideBytes);
    this.#account.declaredBytes += asideBytes - aside.asideBytes;
    aside.asideBytes = asideBytes;
    aside.leftBytes = leftBytes;
  }

  #release(aside: SetAside): void {
    this.#account.setAside.delete(aside);
    this.#setAside(aside, 0);
  }

  /** Whether a full disk explains the failure of a push: the error says so, or so little is left that it is likely. */
  async explains(error: unknown): Promise<boolean> {
    if (error instanceof DiskFull) return true;
    await this.#look();
    const { measured } = this.#account;
    return measured !== undefined && (this.#room(0) <= 0 || measured.freeBytes < mebibyte);
  }

  /** Whether even the reserve runs out, so that only what is essential should be written. */
  async isDire(): Promise<boolean> {
    await this.#refresh(0);
    const { measured } = this.#account;
    return measured !== undefined && measured.freeBytes < this.#reserve() / 4;
  }

  /** The state of the disk; `undefined` if it cannot be measured. */
  async state(): Promise<DiskState | undefined> {
    await this.#refresh(0);
    return this.#state();
  }

  /** The state of the disk, once after it has become low, and once after it is no longer low. */
  takeNews(): DiskState | undefined {
    const account = this.#account;
    if (account.isLow === account.isToldLow) return undefined;
    account.isToldLow = account.isLow;
    return this.#state();
  }

  #state(): DiskState | undefined {
    const { measured, isLow } = this.#account;
    if (measured === undefined) return undefined;
    const { freeBytes, totalBytes } = measured;
    return { freeBytes, totalBytes, reserveBytes: this.#reserve(), isLow };
  }

  #reserve(): number {
    return this.#reserveBytes ?? usualReserve(this.#account.measured?.totalBytes ?? 0);
  }

  /** How much would be left above the reserve if this many more bytes were written. */
  #room(bytes: number): number {
    const { measured, writtenBytes, declaredBytes } = this.#account;
    if (measured === undefined || this.#reserveBytes === 0) return Number.POSITIVE_INFINITY;
    const written = writtenBytes - measured.writtenBytes;
    return measured.freeBytes - written - declaredBytes - this.#reserve() - bytes;
  }

  /** Measures the disk, unless the last measurement is good enough to decide about this many bytes. */
  async #refresh(bytes: number): Promise<void> {
    const { measured } = this.#account;
    if (measured !== undefined) {
      const ageMs = this.#clock.now() - measured.atMs;
      if (ageMs >= 0 && ageMs < Math.min(this.#room(bytes) / 2 / fastestFill, longestMs)) return;
    }
    await this.#look();
  }

  async #look(): Promise<void> {
    const account = this.#account;
    const atMs = this.#clock.now();
    const look = ++account.looks;
    const { writtenBytes } = account;
    for (const aside of account.setAside) if (aside.heardAtMs + lostAfterMs <= atMs) this.#release(aside);
    try {
      const volume = await this.#measure();
      // If two measurements overlap, the one that was started later is used.
      if ((account.measured?.look ?? 0) > look) return;
      account.measured = { ...volume, atMs, look, writtenBytes };
      this.#noteState(volume.freeBytes);
    } catch (error) {
      log("warn", "disk not measured", { error: String(error) });
    }
  }

  /** The gap between low and enough keeps the state from flickering. */
  #noteState(freeBytes: number): void {
    const reserve = this.#reserve();
    if (freeBytes < reserve * lowReserves) this.#account.isLow = true;
    else if (freeBytes >= reserve * enoughReserves) this.#account.isLow = false;
  }
}

/** The disk of these bindings; `undefined` where blobs are in R2. */
export function openDiskSpace(env: Env): DiskSpace | undefined {
  const fsync = openFsyncService(env);
  if (fsync === undefined) return undefined;
  const measure = async () => (await fsync.fetch("https://fsync/?space")).json<Volume>();
  return new DiskSpace(measure, settingsOf(env).diskReserveBytes);
}
