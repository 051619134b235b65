/** The jobs about upload sessions; the id of a row is the session's. */

/** The job that ends a session that nobody came back to, and forgets one that has ended: a column of the session's. */
export const sessionJob = "session";

/** The jobs of the `due` table that delete what a session left that was given up, and adopt what it verified. */
export const cleanJob = "clean";
export const adoptJob = "adopt";

/** When an adoption that failed is tried again. */
export const adoptAgainMs = 30_000;

/**
 * How long after a request its session expires, at most: a little longer than it must live, so that this is not written
 * with every chunk.
 */
export function expiryMs(uploadTtlMs: number): number {
  return uploadTtlMs * (1 + 1 / 24);
}
