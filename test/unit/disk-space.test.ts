import assert from "node:assert/strict";
import test from "node:test";
import { DiskFull, DiskSpace, emptyAccount, usualReserve } from "../../src/storage/disk-space.ts";

const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;

/** A disk whose clock stands still, and how often it was looked at. */
function diskOf(freeBytes: number, reserveBytes: number | undefined, totalBytes = 1000 * gibibyte) {
  const disk = { freeBytes, totalBytes, looks: 0, now: 1_000_000 };
  const measure = async () => {
    disk.looks++;
    return { freeBytes: disk.freeBytes, totalBytes };
  };
  const space = new DiskSpace(measure, reserveBytes, { now: () => disk.now }, emptyAccount());
  return { disk, space };
}

test("the usual reserve is 256 MiB or a hundredth of the volume, and no more than a tenth", () => {
  const sizes: [total: number, reserve: number][] = [
    [64 * mebibyte, 6.4 * mebibyte],
    [gibibyte, 102.4 * mebibyte],
    [10 * gibibyte, 256 * mebibyte],
    [100 * gibibyte, gibibyte],
  ];
  for (const [total, reserve] of sizes) assert.equal(usualReserve(total), Math.floor(reserve));
});

test("pushes on a disk that is far from full look at it once in half a minute", async () => {
  const { disk, space } = diskOf(500 * gibibyte, gibibyte);
  for (let push = 0; push < 100; push++) {
    disk.now += 290;
    assert(await space.hasRoom(10_000));
    const claim = await space.claim(10_000);
    await claim.take(10_000);
    claim.release();
  }
  assert.equal(disk.looks, 1);
  disk.now += 2000;
  assert(await space.hasRoom(10_000));
  assert.equal(disk.looks, 2);
});

test("what was written since the last look is taken off, and where that decides, the disk is looked at", async () => {
  const { disk, space } = diskOf(100 * gibibyte, gibibyte);
  const claim = await space.claim(40 * gibibyte);
  await claim.take(40 * gibibyte);
  claim.release();
  assert(await space.hasRoom(50 * gibibyte));
  assert.equal(disk.looks, 1);
  // Somebody has deleted something.
  assert(await space.hasRoom(60 * gibibyte));
  assert.equal(disk.looks, 2);
  disk.freeBytes -= 50 * gibibyte;
  disk.now += 60_000;
  assert.equal(await space.hasRoom(60 * gibibyte), false);
});

test("what a body of unknown length has written is taken off as well", async () => {
  const { disk, space } = diskOf(100 * gibibyte, gibibyte);
  const claim = await space.claim(0);
  await claim.take(60 * gibibyte);
  claim.release();
  assert.equal(disk.looks, 1);
  // By what is known there is no room, so the disk is looked at.
  assert(await space.hasRoom(50 * gibibyte));
  assert.equal(disk.looks, 2);
});

test("of two looks at once the one that began later says how much is free", async () => {
  const answers: ((freeBytes: number) => void)[] = [];
  const measure = async () => {
    const freeBytes = await new Promise<number>((resolve) => answers.push(resolve));
    return { freeBytes, totalBytes: 100 * gibibyte };
  };
  const space = new DiskSpace(measure, gibibyte, { now: () => 1_000_000 }, emptyAccount());
  const looks = [space.explains(new Error("a push failed")), space.explains(new Error("another failed"))];
  answers[1]?.(2 * mebibyte);
  await looks[1];
  answers[0]?.(50 * gibibyte);
  await looks[0];
  const { freeBytes, isLow } = space.takeNews() ?? {};
  assert.deepEqual([freeBytes, isLow], [2 * mebibyte, true]);
});

test("a full disk explains a failure, and a quarter of the reserve is for what is essential", async () => {
  for (const [freeBytes, isExplained, isDire] of [
    [2 * gibibyte, false, false],
    [gibibyte, true, false],
    [256 * mebibyte, true, false],
    [256 * mebibyte - 1, true, true],
  ] as const) {
    const { space } = diskOf(freeBytes, gibibyte);
    assert.equal(await space.explains(new Error("a push failed")), isExplained, String(freeBytes));
    assert.equal(await space.isDire(), isDire, String(freeBytes));
  }
});

test("of bodies that race for the last bytes as many are taken as there is room for", async () => {
  const { space } = diskOf(2 * gibibyte, gibibyte);
  const claims = await Promise.allSettled(Array.from({ length: 10 }, () => space.claim(300 * mebibyte)));
  const taken = claims.filter(({ status }) => status === "fulfilled");
  assert.equal(taken.length, 3);
  for (const outcome of claims) if (outcome.status === "rejected") assert(outcome.reason instanceof DiskFull);
  for (const outcome of claims) if (outcome.status === "fulfilled") outcome.value.release();
  assert(await space.hasRoom(900 * mebibyte), "what is given back is free again");
});

test("a body of unknown length is refused where it meets the reserve", async () => {
  const { disk, space } = diskOf(gibibyte + 10.5 * mebibyte, gibibyte);
  const claim = await space.claim(0);
  let taken = 0;
  await assert.rejects(async () => {
    for (;;) {
      await claim.take(mebibyte);
      taken++;
      disk.freeBytes -= mebibyte;
      disk.now++;
    }
  }, DiskFull);
  assert.equal(taken, 10);
});

test("a body that was announced ends where others have used half of the reserve meanwhile", async () => {
  const { disk, space } = diskOf(2 * gibibyte, gibibyte);
  const claim = await space.claim(900 * mebibyte);
  await claim.take(mebibyte);
  disk.freeBytes = 1.6 * gibibyte;
  disk.now += 60_000;
  await claim.take(mebibyte);
  disk.freeBytes = 1.3 * gibibyte;
  disk.now += 60_000;
  await assert.rejects(claim.take(mebibyte), DiskFull);
});

test("a body has no more set aside than the gibibyte that it sends next", async () => {
  const { disk, space } = diskOf(101 * gibibyte, gibibyte);
  assert.equal(await space.hasRoom(101 * gibibyte), false);
  const claim = await space.claim(99 * gibibyte);
  assert.equal(await space.hasRoom(99 * gibibyte), false);
  assert(await space.hasRoom(98 * gibibyte));
  await claim.take(50 * gibibyte);
  disk.freeBytes -= 50 * gibibyte;
  assert(await space.hasRoom(48 * gibibyte));
  assert.equal(await space.hasRoom(49 * gibibyte), false);
  // Others have used what was not set aside: none of the reserve is for the rest of it.
  disk.freeBytes = 1.9 * gibibyte;
  disk.now += 60_000;
  await assert.rejects(claim.take(mebibyte), DiskFull);
  claim.release();
  assert(await space.hasRoom(0.8 * gibibyte));
});

test("what was set aside for a body that is never heard of again is free after a while", async () => {
  const { disk, space } = diskOf(2 * gibibyte, gibibyte);
  const [lost, slow] = [await space.claim(400 * mebibyte), await space.claim(400 * mebibyte)];
  for (let minute = 0; minute < 5; minute++) {
    assert.equal(await space.hasRoom(500 * mebibyte), false);
    disk.now += 60_000;
    await slow.take(1);
  }
  assert(await space.hasRoom(500 * mebibyte));
  assert.equal(await space.hasRoom(800 * mebibyte), false);
  lost.release();
  assert.equal(await space.hasRoom(800 * mebibyte), false, "nothing is given back twice");
});

test("a clock that is set back keeps no old answer", async () => {
  const { disk, space } = diskOf(2 * gibibyte, gibibyte);
  assert.equal(await space.hasRoom(2 * gibibyte), false);
  disk.freeBytes = 4 * gibibyte;
  disk.now -= 3_600_000;
  assert(await space.hasRoom(2 * gibibyte));
});

test("a reserve of 0 refuses nothing", async () => {
  const { space } = diskOf(0, 0);
  assert(await space.hasRoom(gibibyte));
  await (await space.claim(gibibyte)).take(2 * gibibyte);
});

test("that the disk is low is told once, and again only after there was half more than the reserve", async () => {
  const { disk, space } = diskOf(2 * gibibyte, gibibyte);
  const news: (boolean | undefined)[] = [];
  for (const free of [2, 1.2, 0.9, 1.3, 1.2, 1.6, 1.4, 1.2]) {
    disk.freeBytes = free * gibibyte;
    disk.now += 60_000;
    await space.state();
    news.push(space.takeNews()?.isLow);
  }
  assert.deepEqual(news, [undefined, true, undefined, undefined, undefined, false, undefined, true]);
});

test("a disk that cannot be looked at refuses nothing", async () => {
  const measure = async () => {
    throw new Error("no fsync service");
  };
  const space = new DiskSpace(measure, gibibyte, { now: () => 1 }, emptyAccount());
  assert(await space.hasRoom(gibibyte));
  assert.equal(await space.state(), undefined);
});
