/** A registry that is measured, by its API alone: Stowage or a peer. */
export interface Target {
  /** For tables. */
  name: string;
  /** Where it serves, without a slash at the end. */
  url: string;
  /** The `Authorization` header of every request; none if it is not given. */
  authorization?: string;
}

/** The header that shows a target's credential. */
export function credentialOf({ authorization }: Target): Record<string, string> {
  return authorization === undefined ? {} : { Authorization: authorization };
}
