import assert from "node:assert/strict";
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ReserveFile } from "../../src/local/reserve-file.ts";
import { mebibyte } from "../../src/units.ts";
import { temporaryDirectory } from "./program.ts";

test("a volume that cannot be looked at for a while ends nothing", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const data = temporaryDirectory(t);
  const file = join(data, "reserve");
  new ReserveFile(data, mebibyte).keep(() => {});
  assert(existsSync(file));
  renameSync(data, `${data} away`);
  t.mock.timers.tick(1000);
  renameSync(`${data} away`, data);
  rmSync(file);
  t.mock.timers.tick(500);
  assert(existsSync(file));
});
