/** `/v2/`: whether this is a registry. distribution-spec: Determining Support. */
import { type Answer, type Context, jsonReply } from "../context.ts";

/** Says that it is. */
export async function base(_: Context): Promise<Answer> {
  return jsonReply({});
}
