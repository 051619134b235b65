/** `audit` */
import { type Command, exitCodes } from "../command.ts";
import { UsageError } from "../errors.ts";
import { quote } from "../format.ts";

const defaultLimit = 50;
const pageSize = 1000;

/** Shows the audit log. */
export const auditCommand: Command = {
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
    if (output.isJson) {
      output.json(
        entries.map(({ detail, ...entry }) => ({ ...entry, ...(detail && { detail: parseDetail(detail) }) })),
      );
      return exitCodes.done;
    }
    const columns = ["TIME", "ACTOR", "ACTION", "TARGET", "OUTCOME", "TIMES", "FROM", "DETAIL"];
    output.list(
      "there are no entries",
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
};

/** A detail that is JSON as what it stands for; any other as its text. */
function parseDetail(detail: string): unknown {
  try {
    const value: unknown = JSON.parse(detail);
    return typeof value === "object" ? value : detail;
  } catch {
    return detail;
  }
}
