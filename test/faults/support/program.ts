/**
 * What a random program is: plain data, made in Node and run inside the Worker, so that it can be shrunk and printed.
 *
 * Numbers name things of a small world: repositories 0 and 1, a few blobs, the program's own manifests, three tags.
 */

/** One of the two locations: each has its own isolate memory and its own view of KV. */
export type LocationIndex = 0 | 1;

/** The bindings of objects, by which their calls fail. */
export type ObjectBinding =
  | "LEDGERS"
  | "BLOB_SHARDS"
  | "UPLOADS"
  | "NAME_INDEX"
  | "CATALOG"
  | "FETCHES"
  | "UPSTREAM_STATES";

/** The objects that alarms are run of, and that are evicted. */
export type ObjectGroup = "all" | ObjectBinding;

/** What goes wrong: any call to a binding's objects, one method of them, or an operation of a store. */
export type FaultTarget = ObjectBinding | DelayedCall | `kv.${KvOperation}` | `r2.${BucketOperation}`;

/** Calls of pushes that may be under way while others come and go, or come twice: all of them may be repeated. */
export const delayedCalls = [
  "BLOB_SHARDS.doom",
  "BLOB_SHARDS.adopt",
  "BLOB_SHARDS.lease",
  "BLOB_SHARDS.release",
  "LEDGERS.holds",
  "LEDGERS.linkBlob",
  "LEDGERS.relocateBlob",
  "NAME_INDEX.register",
  "NAME_INDEX.remove",
  "r2.head",
  "r2.put",
  "r2.complete",
  "r2.delete",
] as const;

/** The same of retention and of fetches, which are only held. */
export const heldCalls = [
  "CATALOG.policies",
  "LEDGERS.blobState",
  "LEDGERS.tagStates",
  "LEDGERS.putFetched",
  "UPSTREAM_STATES.admit",
  "r2.uploadPart",
] as const;

export type DelayedCall = (typeof delayedCalls)[number] | (typeof heldCalls)[number];

export type KvOperation = "get" | "list" | "put" | "delete";

export type BucketOperation =
  | "head"
  | "list"
  | "get"
  | "put"
  | "delete"
  | "createMultipartUpload"
  | "uploadPart"
  | "complete"
  | "abort";

/**
 * What goes wrong. `fail`: nothing is done, and an error reported. `lost`: it is done, and an error reported.
 * `late`: an error is reported, and it is done a while later (KV, R2: on the clock). `stall`: it is done, and the answer takes longer
 * than a lease; `time out`: and is an error. `overloaded`: an object says so. `evict`, `cut` and `evict after`: the
 * object loses its memory before the call, during it, or as soon as it has answered. `slow` and `slow answer`: the way
 * there, or back, takes long enough for the next request to overtake it.
 *
 * Of {@link DelayedCall} alone, until a step lets them go: `held` and `answer held`: the way there, or back, lasts, and
 * whoever called waits. `again`: it is done, and then once more. (`late`: an error, and then it is done.)
 */
export type FaultEffect =
  | "fail"
  | "lost"
  | "late"
  | "stall"
  | "time out"
  | "overloaded"
  | "evict"
  | "cut"
  | "evict after"
  | "slow"
  | "slow answer"
  | "held"
  | "answer held"
  | "again";

/** The calls to a target that go wrong: `skip` go well first, then `times` do not. */
export type Fault = { target: FaultTarget; effect: FaultEffect; skip: number; times: number };

/** How a blob is pushed. */
export type PushWay = "post" | "post and put" | "streamed" | "chunked";

/**
 * A change that a client asks for. `watched`: clients of both locations look at once what came of it; otherwise only
 * those of its own.
 */
export type WriteStep = { repository: number; at: LocationIndex; watched: boolean } & (
  | { do: "push blob"; blob: number; way: PushWay; pauseSeconds: number }
  | { do: "mount"; blob: number; from: number | null }
  | { do: "put manifest"; manifest: number; tag: number | null }
  | { do: "delete tag"; tag: number }
  | { do: "delete manifest"; manifest: number }
  | { do: "delete blob"; blob: number }
);

/** An administrator deletes a repository as a whole, or undoes the last deletion. */
export type RepositoryStep = {
  do: "delete repository" | "restore repository";
  repository: number;
  at: LocationIndex;
};

/**
 * What administrators do about policies, by the number of a document (policies.ts), and what they undo. A tag that is
 * held stays, whatever the rules say.
 */
export type PolicyStep = { at: LocationIndex } & (
  | { do: "put policies"; document: number }
  | { do: "confirm run"; repository: number }
  | { do: "hold tag" | "release tag"; repository: number; tag: number }
  | { do: "restore tag"; repository: number; tag: number }
  | { do: "restore manifest"; repository: number; manifest: number }
);

/** How an upstream answers in the place of what it should: the last three are no trouble to a client. */
export const upstreamFaults = [
  "another digest",
  "too few bytes",
  "too many bytes",
  "hang",
  "hang in the middle",
  "hang on the last byte",
  "reset in the middle",
  "html",
  "401",
  "403",
  "404",
  "429",
  "500",
  "503",
  "slow",
  "no length",
  "no HEAD",
] as const;

export type UpstreamFault = (typeof upstreamFaults)[number];

/** What an upstream fails to answer. */
export type UpstreamFaultTarget = "any" | "blobs" | "manifests";

/**
 * What happens to an upstream, and to what is cached of it. `leaves`: the first of the clients goes away when it has had
 * some of the blob.
 */
export type UpstreamStep =
  | { do: "upstream fails"; fault: UpstreamFault; of: UpstreamFaultTarget; times: number }
  | { do: "upstream moves tag"; tag: number; manifest: number }
  | { do: "pull upstream tag"; at: LocationIndex; tag: number }
  | { do: "pull upstream manifest"; at: LocationIndex; manifest: number }
  | { do: "pull upstream blob"; at: LocationIndex; blob: number; clients: number; leaves: boolean }
  | { do: "evict upstream" | "delete cache"; at: LocationIndex };

/**
 * An upload that nobody finishes: its client cancels it, or never comes back. `isClosed`: it was to be finished before,
 * and that failed.
 */
export type LeaveUploadStep = {
  do: "leave upload";
  repository: number;
  at: LocationIndex;
  blob: number;
  isClosed: boolean;
  isCancelled: boolean;
};

/** A pull by tag. */
export type TagPull = { repository: number; at: LocationIndex; tag: number; as: "reader" | "pusher" };

/** Something that a client reads. */
export type ReadStep = { repository: number; at: LocationIndex } & (
  | ({ do: "pull tag" } & Omit<TagPull, "repository" | "at">)
  | { do: "pull manifest"; manifest: number }
  | { do: "pull blob"; blob: number }
  | { do: "leave pull"; blob: number }
  | { do: "ask for blob"; blob: number }
  | { do: "list tags" }
  | { do: "list referrers"; manifest: number }
);

/** Something that an administrator asks for; `look around` reads all that there is, from everywhere. */
export type AdminStep = { do: "collect" | "collect now" | "scrub" | "reindex" | "look around" };

/** What becomes of the bytes of a blob in the bucket. `unreadable`: reading them fails until all heals. */
export type BlobDamage = "lost" | "cut short" | "altered" | "unreadable";

/** What becomes of a manifest's row in the replica. */
export type RowDamage = "cut short" | "altered";

/** How alarms run: when they are due, before that, twice, cut short by a crash, or not at all. */
export type AlarmWay = "due" | "early" | "twice" | "cut" | "never";

/** Something that the platform does. */
export type PlatformStep =
  | { do: "run alarms"; of: ObjectGroup; how: AlarmWay }
  | { do: "advance"; seconds: number }
  | { do: "evict"; of: ObjectGroup }
  | { do: "restart location"; at: LocationIndex }
  | { do: "set lag"; at: LocationIndex; seconds: number }
  | { do: "set ledger clocks"; behindSeconds: number }
  | { do: "damage blob"; blob: number; how: BlobDamage }
  | { do: "damage row"; repository: number; manifest: number; how: RowDamage }
  | { do: "fault"; fault: Fault }
  | { do: "let go"; of: DelayedCall | "all" }
  | { do: "heal" };

/** Pushes a manifest after everything that it references, as a client does. */
export type PushImageStep = {
  do: "push image";
  repository: number;
  at: LocationIndex;
  manifest: number;
  tag: number;
  way: PushWay;
  watched: boolean;
};

/** What several clients do at once. */
export type TogetherStep = { do: "together"; writes: WriteStep[]; pulls: TagPull[] };

export type Step =
  | WriteStep
  | RepositoryStep
  | PolicyStep
  | UpstreamStep
  | LeaveUploadStep
  | ReadStep
  | AdminStep
  | PlatformStep
  | PushImageStep
  | TogetherStep;

/** A manifest of a program. What it references, and its subject, have smaller numbers; the runner sees to that. */
export type ManifestPlan = { kind: "image" | "index"; references: number[]; subject: number | null };

export type Program = {
  settings: {
    graceSeconds: number;
    deleteDelaySeconds: number;
    /** Hourly. */
    scrubsItself: boolean;
    /** How much the clocks of ledgers are behind all others, at first. */
    ledgersBehindSeconds: number;
    /** Without KV, and with sessions that share objects, as on one machine. */
    isOneMachine: boolean;
  };
  manifests: ManifestPlan[];
  steps: Step[];
};

/** What a run came to. `violation` says which promise was broken; `trace` what happened until then. */
export type Verdict = { violation?: string; trace: string[]; requests: number; faults: number };

/** The most that the clocks of ledgers are behind: more than a lease leaves for it. */
export const mostBehindSeconds = 30;

export const repositoryCount = 2;
export const tagCount = 3;
