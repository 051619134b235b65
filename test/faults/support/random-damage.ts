/** Random sequences of steps in which the stores lose or change what they keep. */
import fc from "fast-check";
import { type BlobDamage, type RowDamage, repositoryCount, type Step } from "./program.ts";
import { at, blob, manifest, pushImageStep, way } from "./random-steps.ts";

const how = fc.constantFrom<BlobDamage[]>("lost", "cut short", "altered", "unreadable");
const rowHow = fc.constantFrom<RowDamage[]>("cut short", "altered");

/** Bytes, or a row of the replica, that are damaged somewhere in a program. */
export const damageStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("damage blob" as const), blob, how }),
  fc.record({
    do: fc.constant("damage row" as const),
    repository: fc.nat(repositoryCount - 1),
    manifest,
    how: rowHow,
  }),
);

/** A blob, of an image or not, that is damaged, and is then pulled, scrubbed, or pushed to another repository. */
export const damagedBlob: fc.Arbitrary<Step[]> = fc
  .record({
    push: pushImageStep,
    damage: fc.record({ do: fc.constant("damage blob" as const), blob, how }),
    at,
    way,
    isRestarted: fc.boolean(),
    isScrubbed: fc.boolean(),
    isPushed: fc.boolean(),
    seconds: fc.constantFrom(2, 45, 400),
  })
  .map(({ push, damage, at, way, isRestarted, isScrubbed, isPushed, seconds }) => {
    const { repository } = push;
    const other = repository === 0 ? 1 : 0;
    const pushBlob = { do: "push blob", at, watched: true, blob: damage.blob, way, pauseSeconds: 0 } as const;
    return [
      push,
      { ...pushBlob, repository },
      { do: "advance", seconds },
      damage,
      // What an isolate remembers is right all the same.
      ...(isRestarted ? [{ do: "restart location", at } as const] : []),
      { do: "pull blob", repository, at, blob: damage.blob },
      ...(isScrubbed ? [{ do: "scrub" } as const] : []),
      ...(isPushed ? [{ ...pushBlob, repository: other }] : []),
    ];
  });

/** A manifest whose row in the replica is damaged before a location sees it for the first time. */
export const damagedRow: fc.Arbitrary<Step[]> = fc
  .record({ push: pushImageStep, how: rowHow, at, isRestarted: fc.boolean() })
  .map(({ push, how, at, isRestarted }) => {
    const { repository, manifest, tag } = push;
    return [
      push,
      { do: "advance", seconds: 70 },
      { do: "damage row", repository, manifest, how },
      ...(isRestarted ? [{ do: "restart location", at } as const] : []),
      { do: "pull tag", repository, at, tag, as: "reader" },
      { do: "pull manifest", repository, at, manifest },
    ];
  });
