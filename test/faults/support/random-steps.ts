/** Random steps, each by itself. */
import fc from "fast-check";
import {
  type AdminStep,
  type AlarmWay,
  type LeaveUploadStep,
  type PlatformStep,
  type PushImageStep,
  type ReadStep,
  type RepositoryStep,
  repositoryCount,
  type TogetherStep,
  tagCount,
  type WriteStep,
} from "./program.ts";
import { anyFault } from "./random-faults.ts";

const blobCount = 5;

/** How many manifests a program has. */
export const manifestCount = 3;

/** Most in one, so that programs meet what they made. */
const repository = fc.constantFrom(0, 0, 0, repositoryCount - 1);
/** Where a client is. */
export const at = fc.constantFrom(0 as const, 1 as const);
/** A blob by its number; most often one that isolates do not keep in memory. */
export const blob = fc.constantFrom(0, 1, 1, ...Array.from({ length: blobCount }, (_, index) => index));
/** A manifest by its number. */
export const manifest = fc.nat(manifestCount - 1);
const tag = fc.nat(tagCount - 1);
/** How a blob is pushed. */
export const way = fc.constantFrom(
  "post" as const,
  "post and put" as const,
  "streamed" as const,
  "chunked" as const,
);
const group = fc.constantFrom(
  "all" as const,
  "LEDGERS" as const,
  "BLOB_SHARDS" as const,
  "UPLOADS" as const,
  "NAME_INDEX" as const,
  "CATALOG" as const,
);

const target = { repository, at };
/** What all writes have. */
export const written = { ...target, watched: fc.boolean() };

/** A change by one request, or by one push of a blob. */
export const writeStep: fc.Arbitrary<WriteStep> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("push blob" as const),
      ...written,
      blob,
      way,
      pauseSeconds: fc.constantFrom(0, 0, 40),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("mount" as const),
      ...written,
      blob,
      from: fc.option(repository, { freq: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("put manifest" as const),
      ...written,
      manifest,
      tag: fc.option(tag, { freq: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete tag" as const), ...written, tag }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete manifest" as const), ...written, manifest }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete blob" as const), ...written, blob }) },
);

/** A push of an image or an index, with all that it needs. */
export const pushImageStep: fc.Arbitrary<PushImageStep> = fc.record({
  do: fc.constant("push image" as const),
  ...written,
  manifest,
  tag,
  way,
});

/** What a pull by tag has. */
export const tagPull = { ...target, tag, as: fc.constantFrom("reader" as const, "pusher" as const) };

/** What several clients do at once. */
export const togetherStep: fc.Arbitrary<TogetherStep> = fc.record({
  do: fc.constant("together" as const),
  writes: fc.array(writeStep, { minLength: 2, maxLength: 4 }),
  pulls: fc.array(fc.record(tagPull), { maxLength: 3 }),
});

/** An administrator deletes a repository, or restores it. */
export const repositoryStep: fc.Arbitrary<RepositoryStep> = fc.record({
  do: fc.constantFrom("delete repository" as const, "restore repository" as const),
  ...target,
});

/** An upload that nobody finishes. */
export const leaveUploadStep: fc.Arbitrary<LeaveUploadStep> = fc.record({
  do: fc.constant("leave upload" as const),
  ...target,
  blob,
  isClosed: fc.boolean(),
  isCancelled: fc.boolean(),
});

/** What an administrator asks for. */
export const adminStep: fc.Arbitrary<AdminStep> = fc.record({
  do: fc.constantFrom(
    "collect" as const,
    "collect now" as const,
    "scrub" as const,
    "reindex" as const,
    "look around" as const,
  ),
});

/** A read. */
export const readStep: fc.Arbitrary<ReadStep> = fc.oneof(
  fc.record({
    do: fc.constant("pull tag" as const),
    ...tagPull,
  }),
  fc.record({ do: fc.constant("pull manifest" as const), ...target, manifest }),
  fc.record({ do: fc.constant("pull blob" as const), ...target, blob }),
  fc.record({ do: fc.constant("leave pull" as const), ...target, blob }),
  fc.record({ do: fc.constant("ask for blob" as const), ...target, blob }),
  fc.record({ do: fc.constant("list tags" as const), ...target }),
  fc.record({ do: fc.constant("list referrers" as const), ...target, manifest }),
);

/** Something that the platform does. */
export const platformStep: fc.Arbitrary<PlatformStep> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant("fault" as const), fault: anyFault }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("heal" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("run alarms" as const),
      of: group,
      how: fc.constantFrom<AlarmWay[]>("due", "due", "due", "early", "twice", "cut", "never"),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      // Around what is waited for: retries, isolates' memory, KV's, grace, leases.
      seconds: fc.constantFrom(2, 20, 35, 45, 70, 130, 400),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("evict" as const), of: group }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart location" as const), at }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("set lag" as const),
      at,
      seconds: fc.constantFrom(0, 5, 60),
    }),
  },
);
