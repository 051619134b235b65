/**
 * Information about the registry itself: `/`, a short description; `/v2/`, whether this is a registry
 * (distribution-spec: Determining Support); `/healthz`, whether the Worker runs, and can read the data; `/readyz`, whether all of its
 * dependencies answer. All but `/v2/` are open to everybody.
 */
import { errorCatalogue } from "../../oci/errors.ts";
import { checkHealth, findLaterData } from "../../registry/monitoring.ts";
import { reservedIds } from "../../registry/upstreams/reserved.ts";
import { version } from "../../version.ts";
import type { Answer, Context } from "../context.ts";
import { jsonReply } from "../respond.ts";
import { page, wantsPage } from "./interface.ts";

/** Confirms that this is a registry. */
export async function base(_: Context): Promise<Answer> {
  return jsonReply({});
}

/** Shows browsers the interface. Describes the registry in a sentence to others, or in JSON if they accept that. */
export async function root(context: Pick<Context, "request">): Promise<Answer> {
  const { request } = context;
  if (wantsPage(request)) return page(context);
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

/**
 * Confirms that the Worker runs, and which release. It says as well whether that can read the data: this is no reason
 * for another status than 200, as starting it again would not help. And it names the upstreams under whose id something
 * was pushed; not what, as everybody may ask.
 */
export async function healthz({ registry }: Pick<Context, "registry">): Promise<Answer> {
  const laterData = await findLaterData(registry);
  const reserved = reservedIds(registry);
  const found = {
    ...(laterData.length === 0 ? {} : { warning: errorCatalogue.LATER_DATA.message, laterData }),
    ...(reserved.length === 0 ? {} : { reserved }),
  };
  return jsonReply({ status: "ok", version, ...found });
}

/** Reports for each dependency whether it answers and how long that takes; 503 if one does not. */
export async function readyz({ registry }: Pick<Context, "registry">): Promise<Answer> {
  const [checks, disk] = await Promise.all([checkHealth(registry), registry.space?.state()]);
  const isReady = checks.every(({ ok }) => ok);
  // With a full disk everything but pushes works, so requests should still come here.
  const storage = disk === undefined ? undefined : disk.isLow ? "low" : "ok";
  return {
    ...jsonReply({ status: isReady ? "ok" : "unavailable", storage, checks }),
    status: isReady ? 200 : 503,
  };
}
