/** `explain` */
import { isVerb, verbs } from "../../oci/grant.ts";
import { type Command, exitCodes } from "../command.ts";
import { UsageError } from "../errors.ts";
import { formatGrants, quote, repositoryName } from "../format.ts";

/** Explains whether an account may do something. */
export const explainCommand: Command = {
  name: "explain",
  arguments: ["ACCOUNT", "REPOSITORY", "VERB"],
  flags: [],
  summary: "says whether an account may do something, and why",
  details: `Verbs are ${verbs.join(", ")}. Exits with 0 if it may, with 1 if it may not.`,
  run: async ({ api, output, args: [account = "", name = "", verb] }) => {
    if (!isVerb(verb)) throw new UsageError(`${quote(verb ?? "")} is no verb; there are ${verbs.join(", ")}`);
    const repository = repositoryName(name);
    const answer = await api.send("POST", "/explain", { body: { account, repository, verb } });
    const { allowed, reason, grant } = answer;
    output.record(answer, [
      ["allowed", allowed ? "yes" : "no"],
      ["reason", reason],
      ...(grant === undefined ? [] : [["grant", formatGrants([grant])] as [string, string]]),
    ]);
    return allowed ? exitCodes.done : exitCodes.refused;
  },
};
