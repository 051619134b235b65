/** `health` */
import { type Command, exitCodes } from "../command.ts";

/** For health checks of containers, in which no other program can ask. */
export const healthCommand: Command = {
  name: "health",
  arguments: [],
  flags: [],
  summary: "asks whether the registry is ready; exits with 1 where it is not",
  run: async ({ api, output }) => {
    const { isReady, state } = await api.readiness();
    output.text(`${isReady ? "ready" : "not ready"}\n`, state);
    return isReady ? exitCodes.done : exitCodes.refused;
  },
};
