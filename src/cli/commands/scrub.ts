/** `scrub` */
import type { Finding, ScrubReport } from "../../contract/scrub.ts";
import { type Command, exitCodes, type Invocation } from "../command.ts";
import { counted } from "../format.ts";
import { formatBytes } from "../progress.ts";

/** Reads all stored data and compares it. */
export const scrubCommand: Command = {
  name: "scrub",
  arguments: [],
  flags: [],
  summary: "reads and compares all that is stored, and puts right what can be",
  details:
    "Exits with 1 if there is something that cannot be put right, or that could not be looked at (LEFT OUT). REFUSED is what is sound, and would be refused if it were pushed today.",
  run: async ({ api, output, progress }) => {
    const checked = { blobs: 0, bytes: 0, links: 0, manifests: 0, tags: 0, keys: 0 };
    const sum: ScrubReport = { checked, repaired: [], problems: [], refused: [], unchecked: [] };
    for await (const piece of api.work("/scrub", {})) {
      for (const name of Object.keys(checked) as (keyof typeof checked)[]) {
        checked[name] += piece.checked[name];
      }
      sum.repaired.push(...piece.repaired);
      sum.problems.push(...piece.problems);
      sum.refused.push(...piece.refused);
      sum.unchecked.push(...piece.unchecked);
      progress.show("digests read", checked.blobs, checked.blobs, checked.bytes);
    }
    progress.end();
    showFindings(output, sum);
    return sum.problems.length + sum.unchecked.length === 0 ? exitCodes.done : exitCodes.refused;
  },
};

function showFindings(
  output: Invocation["output"],
  { checked, repaired, problems, refused, unchecked }: ScrubReport,
): void {
  if (output.isJson) {
    output.json({ checked, repaired, problems, refused, unchecked });
    return;
  }
  const findings = [
    ...problems.map((finding) => ({ state: "PROBLEM", ...finding })),
    ...unchecked.map((finding) => ({ state: "LEFT OUT", ...finding })),
    ...repaired.map((finding) => ({ state: "repaired", ...finding })),
    ...refused.map((finding) => ({ state: "REFUSED", ...finding })),
  ];
  const subject = ({ repository, digest, tag, key }: Finding) =>
    [repository, tag, digest, key].filter((part) => part !== undefined).join(" ");
  if (findings.length > 0) {
    output.list("there are no findings", findings, ["STATE", "WHAT", "WHICH", "DETAIL"], (finding) => [
      finding.state,
      finding.what,
      subject(finding),
      finding.detail ?? "",
    ]);
  }
  const { blobs, bytes, manifests, tags } = checked;
  const looked = `${counted(blobs, "blob")} (${formatBytes(bytes)}), ${counted(manifests, "manifest")} and ${counted(tags, "tag")}`;
  const found = `${counted(problems.length, "problem")}, ${repaired.length} repaired, ${unchecked.length} left out`;
  output.note(`${looked} were read: ${found}, ${refused.length} that a push would be refused for today`);
}
