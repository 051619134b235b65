/** `upload list`, `upload drop` */
import { type Command, exitCodes } from "../command.ts";
import { pathSegment } from "../format.ts";
import { formatBytes } from "../progress.ts";

/** Uploads that are under way. */
export const uploadCommands: Command[] = [
  {
    name: "upload list",
    arguments: [],
    flags: [],
    summary: "lists uploads that are under way, the oldest first",
    details:
      "BYTES are what is stored of each. Blobs that are sent in one piece are not listed: they end with their connection.",
    run: async ({ api, output }) => {
      const { uploads } = await api.send("GET", "/uploads");
      output.list(
        "there are no uploads",
        uploads,
        ["ID", "REPOSITORY", "ACCOUNT", "STARTED", "LAST ACTIVE", "BYTES"],
        ({ id, repository, account, startedAt, lastActiveAt, bytes, writing }) => [
          id,
          repository,
          account ?? "-",
          startedAt ?? "-",
          writing ? "now" : lastActiveAt,
          formatBytes(bytes),
        ],
      );
      return exitCodes.done;
    },
  },
  {
    name: "upload drop",
    arguments: ["ID"],
    flags: [],
    summary: "ends an upload, and deletes what it stored",
    run: async ({ api, output, args: [id = ""] }) => {
      await api.send("DELETE", "/uploads/{upload}", { params: { upload: pathSegment(id) } });
      output.done(`upload ${id} is dropped`);
      return exitCodes.done;
    },
  },
];
