/** `serve` */
import { serverFlags } from "../../local/flags.ts";
import { type Command, exitCodes } from "../command.ts";

/** Runs the local server, which has flags and exit codes of its own. */
export const serveCommand: Command = {
  name: "serve",
  arguments: [],
  isOfAnyRegistry: true,
  readsItself: true,
  flags: [...serverFlags],
  summary: "runs a registry on this machine",
  run: async ({ args, serve }) => {
    await serve(args);
    return exitCodes.done;
  },
};
