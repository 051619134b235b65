/** `export`, `import` */

import { parseRepositoryName } from "../../oci/reference.ts";
import { showFailures } from "../attempts.ts";
import { findLayouts } from "../backup/directories.ts";
import { exportAll } from "../backup/export.ts";
import { importAll } from "../backup/import.ts";
import { type Command, exitCodes } from "../command.ts";
import { CommandError } from "../errors.ts";
import { counted, quote, repositoryName } from "../format.ts";
import { formatBytes } from "../progress.ts";

const repositoryFlag = {
  name: "repository",
  value: "NAME",
  isRepeatable: true,
  summary: "only this one; may be repeated",
};

const countedRepositories = (count: number) => counted(count, "repository", "repositories");

/** Backups, as OCI image layouts. */
export const backupCommands: Command[] = [
  {
    name: "export",
    arguments: ["DIR"],
    flags: [repositoryFlag],
    summary: "writes an OCI image layout for each repository, below a directory",
    details:
      "What is there is not fetched again; nothing there is deleted. A repository that fails does not hold up the others. Accounts, tokens and the history of tags are not in it.",
    run: async (call) => {
      const { api, output, flags, args } = call;
      const wanted = new Set(flags.list("repository").map(repositoryName));
      const all = await api.list("/repositories", "repositories", { query: { n: "1000" } });
      const repositories = all.filter(({ name }) => wanted.size === 0 || wanted.has(name));
      for (const { name } of all) {
        // The layouts are below the directory, whatever a registry answers with.
        if (parseRepositoryName(name) === undefined) {
          throw new CommandError(`the registry lists ${quote(name)}, which is no name of a repository`);
        }
      }
      const unknown = [...wanted].find((name) => !all.some((each) => each.name === name));
      if (unknown !== undefined) throw new CommandError(`there is no repository ${unknown}`);
      const report = await exportAll(call, args[0] ?? "", repositories);
      for (const name of report.deleted) output.note(`${name} was deleted meanwhile, and is left out`);
      for (const { repository, digest } of report.missing) {
        output.note(`${repository} names ${digest}, and does not have it`);
      }
      for (const { repository, digest, reason } of report.unread) {
        output.note(`stowage: ${repository}: ${digest} cannot be read: ${reason}`);
      }
      const fetched = `${report.fetched} of them fetched (${formatBytes(report.bytes)})`;
      const total = `${counted(report.manifests, "manifest")} and ${counted(report.blobs, "blob")}`;
      output.done(`${countedRepositories(report.repositories)}: ${total}, ${fetched}`, report);
      const exitCode = showFailures(output, report);
      return report.unread.length > 0 ? exitCodes.refused : exitCode;
    },
  },
  {
    name: "import",
    arguments: ["DIR"],
    flags: [
      repositoryFlag,
      { name: "force", summary: "pushes also what is there: a scrub found that it is lost or damaged" },
    ],
    summary: "pushes the OCI image layouts below a directory, with digests, tags and referrers as they were",
    details:
      "A tag that points elsewhere now is moved; nothing is deleted. A repository that fails does not hold up the others.",
    run: async (call) => {
      const {
        output,
        flags,
        args: [directory = ""],
      } = call;
      const wanted = new Set(flags.list("repository").map(repositoryName));
      const found = await findLayouts(directory).catch((error: unknown) => {
        throw new CommandError(`cannot read ${directory}: ${error instanceof Error ? error.message : error}`);
      });
      const layouts = found.layouts.filter(([name]) => wanted.size === 0 || wanted.has(name));
      const unread = found.failed.filter(({ name }) => wanted.size === 0 || isAbove(name, wanted));
      if (layouts.length === 0 && unread.length === 0) {
        throw new CommandError(`there is no image layout to import below ${directory}`);
      }
      const imported = await importAll(call, layouts, flags.has("force"));
      const report = { ...imported, failed: [...unread, ...imported.failed] };
      const done = report.repositories === layouts.length ? "" : `${report.repositories} of `;
      const pushed = `${report.pushed} of ${counted(report.manifests, "manifest")}`;
      const blobs = `${counted(report.blobs, "blob")} pushed`;
      output.done(`${done}${countedRepositories(layouts.length)}: ${pushed} and ${blobs}`, report);
      return showFailures(output, report);
    },
  },
];

/** Whether some repositories would be in a directory, or below it, that stands for this name. */
function isAbove(name: string, repositories: ReadonlySet<string>): boolean {
  return [...repositories].some((each) => `${each}/`.startsWith(`${name}/`));
}
