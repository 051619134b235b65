import type { WorkerOptions } from "miniflare";
import type { Calls } from "../support/call-counter.ts";
import { Client, fetchOnce, type PushedImage } from "../support/client.ts";
import { content, mebibyte } from "../support/content.ts";
import { workerOptions } from "../support/miniflare/options.ts";
import { startRegistry } from "../support/registry.ts";
import type { Writing } from "./sql-meter.ts";

/** What requests needed: calls by `BINDING.method`, in all and at once, and rows of the objects' tables. */
export type Spent = {
  calls: Calls;
  mostAtOnce: Calls;
  rowsRead: number;
  rowsWritten: number;
  writings: Writing[];
};

/** The repository that everything happens in. */
export const repository = "team/app";

/** One that everybody may pull. */
export const publicRepository = "team/public";

const password = "correct horse battery staple";

export type World = {
  admin: Client;
  /** May pull. */
  puller: Client;
  /** May pull, push and delete. */
  pusher: Client;
  nobody: Client;
  /** Somebody with an account and a password. */
  member: Client;
  /** Somebody with a generated token. */
  robot: Client;
  refreshToken: string;
  image: PushedImage;
  /** A blob that is no image's. */
  large: string;
  /** Does it, and says what that needed. `isCold`: in an isolate that has seen nothing yet. */
  spend(isCold: boolean, request: () => Promise<unknown>): Promise<Spent>;
  statements(): Promise<{ owner: string; text: string; plan: string[] }[]>;
};

/**
 * The objects, which stay in memory. Locally one leaves it after ten idle seconds, and as alarms do nothing here, it
 * would then set the one again that has gone off: a row that is not of the request that woke it.
 */
async function lastingObjects(): Promise<WorkerOptions["durableObjects"]> {
  const { durableObjects = {} } = await workerOptions({ script: "" });
  const lasting = Object.entries<string | object>(durableObjects).map(([name, designator]) => {
    const object = typeof designator === "string" ? { className: designator } : designator;
    return [name, { ...object, unsafePreventEviction: true }];
  });
  return Object.fromEntries(lasting);
}

/** Starts it. It ends after the tests of the file. */
export async function startWorld(vars: Record<string, string> = {}): Promise<World> {
  const { url } = await startRegistry({
    entry: "test/costs/entry.ts",
    // That ledgers ask who listens is counted by itself.
    vars: { ADMIN_PASSWORD: password, TOKEN_TTL: "1h", EVENT_QUIET: "60s", ...vars },
    miniflare: { durableObjects: await lastingObjects() },
  });
  const control = async <T>(name: string) =>
    (await fetchOnce(`${url}/_test/${name}`))
      .text()
      .then((text) => (text === "" ? undefined : JSON.parse(text)) as T);
  const admin = new Client(url, { name: "admin", password });
  const grants = [{ repository: "**", verbs: ["pull", "push"] }];
  await admin.must(201, "PUT", "/api/v1/accounts/member", {
    json: { password, grants },
  });
  const made = await admin.must(201, "POST", "/api/v1/accounts/member/tokens", {
    json: { description: "costs" },
  });
  const bearer = async (actions: string) => {
    const answer = await admin.must(
      200,
      "GET",
      `/token?service=stowage&offline_token=true&scope=repository:${repository}:${actions}&scope=registry:catalog:*&scope=repository:${publicRepository}:${actions}`,
    );
    return answer.json<{ token: string; refresh_token: string }>();
  };
  const image = await admin.pushImage(
    repository,
    "latest",
    Array.from({ length: 5 }, () => content(100 * 1024)),
  );
  await admin.pushImage(publicRepository, "latest");
  await admin.must(200, "PATCH", `/api/v1/repositories/${publicRepository}`, {
    json: { visibility: "public" },
  });
  const large = await admin.pushBlob(repository, content(mebibyte));
  // As clients do that come for an image: their tokens say that the names are registered.
  const [pull, push] = [await bearer("pull"), await bearer("pull,push,delete")];
  const pusher = new Client(url, push.token);
  await control("hold");
  const spend = async (isCold: boolean, request: () => Promise<unknown>) => {
    await control("spent");
    if (isCold) await control("cold");
    await request();
    return control<Spent>("spent");
  };
  return {
    admin,
    puller: new Client(url, pull.token),
    pusher,
    nobody: new Client(url),
    member: new Client(url, { name: "member", password }),
    robot: new Client(url, { name: "member", password: made.json<{ secret: string }>().secret }),
    refreshToken: push.refresh_token,
    image,
    large,
    spend,
    statements: () => control("statements"),
  };
}
