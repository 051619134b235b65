/** What is known of something that may have gone, or come, without an answer. */
export type Certainty = "yes" | "no" | "maybe";

/** What follows from something that is there, or is not; both where nobody knows. */
export function choose<T>(certainty: Certainty, ifSo: readonly T[], ifNot: readonly T[]): readonly T[] {
  if (certainty === "maybe") return [...ifSo, ...ifNot];
  return certainty === "yes" ? ifSo : ifNot;
}

/** Whether all of these are there. */
export function allOf(states: Certainty[]): Certainty {
  if (states.includes("no")) return "no";
  return states.includes("maybe") ? "maybe" : "yes";
}

/** Whether at least one of these is there. */
export function anyOf(states: Certainty[]): Certainty {
  if (states.includes("yes")) return "yes";
  return states.includes("maybe") ? "maybe" : "no";
}
