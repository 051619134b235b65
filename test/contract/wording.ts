/** How the documents say who may call an operation. */
import type { AccessRule } from "../../src/contract/operation.ts";

/** For whom an operation is, as an entry of a table. */
export function audienceOf(access: AccessRule): string {
  if (typeof access === "object") {
    return `\`${access.repository}\` on the repository${access.byGrant ? ", by a grant" : ""}`;
  }
  switch (access) {
    case "administrator":
      return "administrators";
    case "own account":
      return "administrators, and the account itself by its password";
    case "own token":
      return "administrators, the account itself by its password, and the token itself";
    case "everybody":
      return "everybody";
    case "any account":
      return "every account";
  }
}

/** For whom an operation is, as a sentence. */
export function audienceSentence(access: AccessRule): string {
  return typeof access === "object" ? `Needs ${audienceOf(access)}.` : `For ${audienceOf(access)}.`;
}
