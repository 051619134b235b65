/**
 * The versions of what objects store, by the name that their class is exported under (worker.ts).
 *
 * A version is the number of the last step of the class's schema (objects/schema.ts) after which releases that do not
 * know the step cannot open the data. An object whose data has a higher version than the one here was written by a later
 * release: it answers every call with an error (objects/later-data.ts). A test compares the numbers with the schemas.
 */
export const dataVersions = {
  Repository: 12,
  // On one machine; that of shards whose bytes are in R2 is lower.
  Blobs: 9,
  Catalog: 13,
  Search: 1,
  Upload: 5,
  // Fetches are uploads, too.
  Fetch: 5,
  NameIndex: 1,
  Webhooks: 2,
  WebhookQueue: 3,
} as const;

/** A class of objects that store data with a version. */
export type StoredClass = keyof typeof dataVersions;

/** Data that only later releases can open: how many objects of a class have it. */
export type LaterData = { kind: StoredClass; objects: number };
