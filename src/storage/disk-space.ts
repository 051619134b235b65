/**
 * How much room the disk of one machine has for pushes. Part of it, the reserve, is kept free for deletions, collection,
 * logins and starts, all of which write to databases on the same disk.
 *
 * The local server measures how much is free, but not for every push: a measurement counts for as long as other programs
 * would need to fill half of what is left. Meanwhile what was written since, and what bodies in flight have announced, is
 * subtracted. All objects of one machine share an isolate, and so this account.
 */

import type { Env } from "../bindings.ts";
import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import { log } from "../log.ts";
import { settingsOf } from "../settings/settings.ts";
import { mebibyte } from "../units.ts";
import { BucketFailed } from "./bucket.ts";
import { openFsyncService } from "./fsync.ts";

/** A volume, in bytes: what may still be written to it, and all it holds. */
export type Volume = { freeBytes: number; totalBytes: number };

/** A volume, and what pushes must leave free of it. `isLow`: there is hardly more than that, or less. */
export type DiskState = Volume & { reserveBytes: number; isLow: boolean };

/** There is no room for what was to be written. */
export class DiskFull extends BucketFailed {
  override name = "DiskFull";

  constructor() {
    super("no space left on the disk", { bodyBroke: false });
  }
}

/** What a body that is being received may still write. {@link release} must be called in the end. */
export interface Claim {
  /** To be called before so many bytes are written. Throws {@link DiskFull} where there is no room for them. */
  take(bytes: number): Promise<void>;
  /** Gives back what was not written. */
  release(): void;
}

/** Room set aside for a body: how much of it is left, and when something was heard of the body last. */
type SetAside = { leftBytes: number; heardAtMs: number };

/** What one isolate knows of its disk. `writtenBytes` and `looks` count up from its beginning. */
export type DiskAccount = {
  measured: (Volume & { atMs: number; look: number; writtenBytes: number }) | undefined;
  looks: number;
  writtenBytes: number;
  setAside: Set<SetAside>;
  /** Their sum. */
  declaredBytes: number;
  isLow: boolean;
  /** Whether somebody was told that it is low. */
  isToldLow: boolean;
};

/** An account of a disk that nobody has looked at. */
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

/** How fast a disk is filled, at most, in bytes a millisecond; and how long an answer counts at most. */
const fastestFill = 1024 * 1024;
const longestMs = 30_000;
/**
 * How long room is set aside for a body of which nothing is heard. Where an object fails, as it does when it cannot
 * write, nothing goes on that it had begun: nobody gives back what its bodies had announced.
 */
const lostAfterMs = 5 * 60_000;

/** What pushes leave free where nobody said: 256 MiB or a hundredth of the volume, but no more than a tenth. */
export function usualReserve(totalBytes: number): number {
  return Math.floor(Math.min(Math.max(256 * mebibyte, totalBytes / 100), totalBytes / 10));
}

/** The room on one disk. */
export class DiskSpace {
  readonly #measure: () => Promise<Volume>;
  readonly #reserveBytes: number | undefined;
  readonly #clock: Clock;
  readonly #account: DiskAccount;

  /** `measure` looks at the disk. `reserveBytes`: `undefined` for the usual, 0 for none, so that nothing is refused. */
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

  /** Whether a push of so many bytes may begin. */
  async hasRoom(bytes: number): Promise<boolean> {
    await this.#refresh(bytes);
    return this.#room(bytes) > 0;
  }

  /** Sets room aside for a body; 0 where its length is not known. Throws {@link DiskFull} where there is none. */
  async claim(bytes: number): Promise<Claim> {
    const account = this.#account;
    if (!(await this.hasRoom(bytes)) || this.#room(bytes) <= 0) throw new DiskFull();
    const aside = { leftBytes: bytes, heardAtMs: this.#clock.now() };
    account.setAside.add(aside);
    account.declaredBytes += bytes;
    return {
      take: async (taken) => {
        aside.heardAtMs = this.#clock.now();
        const declared = Math.min(aside.leftBytes, taken);
        aside.leftBytes -= declared;
        account.declaredBytes -= declared;
        account.writtenBytes += declared;
        const more = taken - declared;
        await this.#refresh(more);
        // What was announced may use some of the reserve: databases, and other programs, have written meanwhile too.
        const least = more > 0 ? 0 : -this.#reserve() / 2;
        if (this.#room(more) < least) throw new DiskFull();
        account.writtenBytes += more;
      },
      release: () => this.#release(aside),
    };
  }

  #release(aside: SetAside): void {
    this.#account.setAside.delete(aside);
    this.#account.declaredBytes -= aside.leftBytes;
    aside.leftBytes = 0;
  }

  /** Whether a push failed for want of room: it was told so, or so little is left that this may be it. */
  async explains(error: unknown): Promise<boolean> {
    if (error instanceof DiskFull) return true;
    await this.#look();
    const { measured } = this.#account;
    return measured !== undefined && (this.#room(0) <= 0 || measured.freeBytes < mebibyte);
  }

  /** Whether even the reserve runs out, so that what can be left unwritten should be. */
  async isDire(): Promise<boolean> {
    await this.#refresh(0);
    const { measured } = this.#account;
    return measured !== undefined && measured.freeBytes < this.#reserve() / 4;
  }

  /** How the disk is; `undefined` where that cannot be told. */
  async state(): Promise<DiskState | undefined> {
    await this.#refresh(0);
    return this.#state();
  }

  /** How the disk is, once after it has become low, or was and is not any more. */
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

  /** What would be left for others, above the reserve, if so much more was written. */
  #room(bytes: number): number {
    const { measured, writtenBytes, declaredBytes } = this.#account;
    if (measured === undefined || this.#reserveBytes === 0) return Number.POSITIVE_INFINITY;
    const written = writtenBytes - measured.writtenBytes;
    return measured.freeBytes - written - declaredBytes - this.#reserve() - bytes;
  }

  /** Looks at the disk, unless what is known is good enough to decide about so many bytes. */
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
      // Of two answers under way, the one that was asked for later counts.
      if ((account.measured?.look ?? 0) < look) account.measured = { ...volume, atMs, look, writtenBytes };
      this.#noteState(volume.freeBytes);
    } catch (error) {
      log("warn", "disk not measured", { error: String(error) });
    }
  }

  /** It is low from a quarter above the reserve on, and not any more from half above it: so it does not flicker. */
  #noteState(freeBytes: number): void {
    const reserve = this.#reserve();
    if (freeBytes < reserve * 1.25) this.#account.isLow = true;
    else if (freeBytes >= reserve * 1.5) this.#account.isLow = false;
  }
}

/** The disk of these bindings; `undefined` where blobs are in R2. */
export function openDiskSpace(env: Env): DiskSpace | undefined {
  const fsync = openFsyncService(env);
  if (fsync === undefined) return undefined;
  const measure = async () => (await fsync.fetch("https://fsync/?space")).json<Volume>();
  return new DiskSpace(measure, settingsOf(env).diskReserveBytes);
}
