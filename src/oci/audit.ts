/** What entries of the audit log are told apart by. */

/**
 * Kinds of entries, each kept by itself: what administrators did by the management API; what others did, or got leave
 * for, and all pushes and deletes; what was refused or wrong, and changed nothing.
 */
export const auditKinds = ["administration", "use", "refusal"] as const;

/** One of {@link auditKinds}. */
export type AuditKind = (typeof auditKinds)[number];

/**
 * The outcome of a request. `granted` and `denied`: whether permission was given; `failed`: permission was given, but the
 * request was wrong.
 */
export const auditOutcomes = ["granted", "denied", "done", "failed"] as const;

/** One of {@link auditOutcomes}. */
export type AuditOutcome = (typeof auditOutcomes)[number];
