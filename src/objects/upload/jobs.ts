/** The jobs about upload sessions; the id of a row is the session's. */

/** The job that ends a session that nobody came back to, and forgets one that has ended: a column of the session's. */
export const sessionJob = "session";

/** The jobs of the `due` table that delete what a session left that was given up, and adopt what it verified. */
export const cleanJob = "clean";
export const adoptJob = "adopt";
