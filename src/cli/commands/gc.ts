/** `gc` */
import { setTimeout as delay } from "node:timers/promises";
import type { Freed } from "../../contract/gc.ts";
import { type Command, exitCodes, type Invocation } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";
import { formatBytes } from "../progress.ts";

/** The result of a collection. */
type Collected = { freed: Freed; keptForSeconds: number };

/** How long this waits for leases that run, before it collects once more. */
const mostWaitSeconds = 60;

/** Collection. */
export const gcCommands: Command[] = [
  {
    name: "gc",
    arguments: [],
    flags: [
      { name: "now", summary: "also what is deleted or unreferenced, but not due yet; asks first" },
      { name: "yes", summary: "with --now: does not ask" },
    ],
    summary: "deletes what is due for that, and says what it freed",
    details:
      "With --now, what was deleted cannot be restored any more. What a push may rely on stays: what was pushed, mounted, or found by a pusher, a few minutes ago at most.",
    run: async (call) => {
      const { flags, output } = call;
      if (!flags.has("now")) {
        if (flags.has("yes")) throw new UsageError("--yes is for --now");
        show(output, (await collect(call, {})).freed);
        return exitCodes.done;
      }
      if (!flags.has("yes")) await ask(call);
      const first = await collect(call, { now: true });
      const { keptForSeconds } = first;
      if (keptForSeconds === 0 || keptForSeconds > mostWaitSeconds) {
        show(output, first.freed);
        if (keptForSeconds > 0)
          output.note(`pushes may rely on some more: run it again in ${keptForSeconds} s`);
        return exitCodes.done;
      }
      output.note(`waiting ${keptForSeconds} s for pushes that may be under way`);
      await delay(keptForSeconds * 1000);
      show(output, add(first.freed, (await collect(call, { now: true })).freed));
      return exitCodes.done;
    },
  },
];

/** Collects to the end. */
async function collect({ api }: Invocation, fields: { now?: true }): Promise<Collected> {
  let freed: Freed = { manifests: 0, links: 0, blobs: 0, bytes: 0, uploads: 0 };
  let keptForSeconds = 0;
  for await (const answer of api.work("/gc", fields)) {
    freed = add(freed, answer.freed);
    keptForSeconds = Math.max(keptForSeconds, answer.keptForSeconds);
  }
  return { freed, keptForSeconds };
}

function add(one: Freed, other: Freed): Freed {
  const sum = { ...one };
  for (const name of Object.keys(sum) as (keyof Freed)[]) sum[name] += other[name];
  return sum;
}

function show(output: Invocation["output"], freed: Freed): void {
  output.record(freed, [
    ["untagged manifests", String(freed.manifests)],
    ["unreferenced blobs", String(freed.links)],
    ["uploads cut short", String(freed.uploads)],
    ["deleted", `${freed.blobs} objects, ${formatBytes(freed.bytes)}`],
  ]);
}

/** How many of the deletions are listed. */
const mostListed = 20;

/** Lists what cannot be undone afterwards, and asks for confirmation. Throws if it is denied. */
async function ask({ api, output, confirm }: Invocation): Promise<void> {
  const lines: string[] = [];
  let hasMore = false;
  for await (const page of api.pages("/deleted", { query: { n: "100" } })) {
    for (const { name, deleted, more } of page.repositories) {
      hasMore ||= more;
      for (const each of deleted) {
        if (each.what === "repository") lines.push(`  ${name}, deleted on ${each.deletedAt}`);
        if (each.what === "manifest")
          lines.push([`  ${name}@${each.digest}`, ...(each.tags ?? [])].join("  "));
      }
    }
  }
  if (lines.length > 0) {
    output.note("this can still be restored, and not any more after that:");
    for (const line of lines.slice(0, mostListed)) output.note(line);
    if (hasMore || lines.length > mostListed) output.note("  … and more; deleted lists all of it");
  } else output.note("nothing that was deleted could be restored");
  if (!(await confirm("Delete for good what is deleted or unreferenced? Type yes: "))) {
    throw new CommandError("nothing was deleted; --yes does it without asking");
  }
}
