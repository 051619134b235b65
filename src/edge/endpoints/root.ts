/** `/`: what this is, for whoever finds it. Open to everybody. */
import { version } from "../../version.ts";
import { type Answer, type Context, jsonReply } from "../context.ts";

/** Says it in a sentence, or as JSON to those who ask for that. */
export async function root({ request }: Pick<Context, "request">): Promise<Answer> {
  const headers = { Vary: "Accept" };
  if (request.headers.get("Accept")?.includes("application/json")) {
    return jsonReply({ name: "stowage", version, api: "/v2/" }, headers);
  }
  return {
    status: 200,
    headers: { ...headers, "Content-Type": "text/plain; charset=utf-8" },
    body: `This is Stowage ${version}, a registry of container images: docker and other clients push to it and pull from it.\n`,
  };
}
