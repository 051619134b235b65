/** `keys rotate` */
import { type Command, exitCodes } from "../command.ts";

/** Makes a new key. */
export const keysCommand: Command = {
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
};
