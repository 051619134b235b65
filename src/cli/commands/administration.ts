/** `explain`, `audit`, `keys rotate` */
import { isVerb, verbs } from "../../oci/grant.ts";
import { type Command, exitCodes } from "../command.ts";
import { UsageError } from "../errors.ts";
import { formatGrants, quote, repositoryName } from "../format.ts";

const defaultLimit = 50;
const pageSize = 1000;

/** What administrators do besides. */
export const administrationCommands: Command[] = [
  {
    name: "explain",
    arguments: ["ACCOUNT", "REPOSITORY", "VERB"],
    flags: [],
    summary: "says whether an account may do something, and why",
    details: `Verbs are ${verbs.join(", ")}. Exits with 0 if it may, with 1 if it may not.`,
    run: async ({ api, output, args: [account = "", name = "", verb] }) => {
      if (!isVerb(verb))
        throw new UsageError(`${quote(verb ?? "")} is no verb; there are ${verbs.join(", ")}`);
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
  },
  {
    name: "audit",
    arguments: [],
    flags: [
      { name: "limit", value: "N", summary: `how many entries at most (${defaultLimit})` },
      { name: "kind", value: "KIND", summary: "only of administration, use or refusal" },
    ],
    summary: "shows who changed what, and who was refused, newest first",
    run: async ({ api, output, flags }) => {
      const text = flags.text("limit") ?? String(defaultLimit);
      const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
      if (limit === 0) throw new UsageError(`--limit is ${quote(text)}, but must be a number from 1`);
      const query = { n: String(Math.min(limit, pageSize)), kind: flags.text("kind") };
      const entries = await api.list("/audit", "entries", { query }, limit);
      const columns = ["TIME", "ACTOR", "ACTION", "TARGET", "OUTCOME", "TIMES", "FROM", "DETAIL"];
      output.list(
        "entries",
        entries,
        columns,
        ({ time, actor, action, target, outcome, times, address, detail }) => [
          time,
          actor,
          action,
          target,
          outcome,
          String(times ?? 1),
          address,
          detail ?? "",
        ],
      );
      return exitCodes.done;
    },
  },
  {
    name: "keys rotate",
    arguments: [],
    flags: [],
    summary: "makes a new key that signs tokens; those signed before stay good",
    run: async ({ api, output }) => {
      const keys = await api.send("POST", "/keys/rotate");
      output.record(keys, [
        ["signing", keys.signing],
        ["verifying", keys.verifying.join(" ")],
      ]);
      return exitCodes.done;
    },
  },
];
