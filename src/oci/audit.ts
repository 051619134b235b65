/** The kinds and outcomes of audit entries. */

/**
 * Kinds of entries, each stored with a limit of its own. `administration`: actions of administrators in the management
 * API; `use`: actions of other accounts, tokens that were issued to them, and all pushes and deletes; `refusal`:
 * requests that were refused or wrong and changed nothing.
 */
export const auditKinds = ["administration", "use", "refusal"] as const;

/** One of {@link auditKinds}. */
export type AuditKind = (typeof auditKinds)[number];

/**
 * The outcome of a request. `granted` and `denied`: whether access was allowed; `failed`: access was allowed, but the
 * request was wrong.
 */
export const auditOutcomes = ["granted", "denied", "done", "failed"] as const;

/** One of {@link auditOutcomes}. */
export type AuditOutcome = (typeof auditOutcomes)[number];
