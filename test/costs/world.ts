import type { Calls } from "../support/call-counter.ts";
import { type Answer, Client, fetchOnce, type PushedImage, type RequestOptions } from "../support/client.ts";
import { content, mebibyte } from "../support/content.ts";
import { serve } from "../support/registry.ts";
import type { Writing } from "./sql-meter.ts";

/** What requests needed: calls by `BINDING.method`, in all and at once, and rows of the objects' tables. */
export type Spent = {
  calls: Calls;
  mostAtOnce: Calls;
  rowsRead: number;
  rowsWritten: number;
  writings: Writing[];
};

/** A client that shows a credential with every request. */
export class Caller extends Client {
  readonly #authorization: string | undefined;

  constructor(url: string, authorization?: string) {
    super(url);
    this.#authorization = authorization;
  }

  override send(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const shown = this.#authorization === undefined ? {} : { Authorization: this.#authorization };
    return super.send(method, path, { ...options, headers: { ...shown, ...options.headers } });
  }
}

/** The repository that everything happens in. */
export const repository = "team/app";

/** One that everybody may pull. */
export const publicRepository = "team/public";

const password = "correct horse battery staple";

export type World = {
  admin: Caller;
  /** May pull. */
  puller: Caller;
  /** May pull, push and delete. */
  pusher: Caller;
  nobody: Caller;
  /** Somebody with an account and a password. */
  member: Caller;
  /** Somebody with a generated token. */
  robot: Caller;
  refreshToken: string;
  image: PushedImage;
  /** A blob that is no image's. */
  large: string;
  /** Does it, and says what that needed. `isCold`: in an isolate that has seen nothing yet. */
  spend(isCold: boolean, request: () => Promise<unknown>): Promise<Spent>;
  statements(): Promise<{ owner: string; text: string; plan: string[] }[]>;
};

function basic(name: string, secret: string): string {
  return `Basic ${Buffer.from(`${name}:${secret}`).toString("base64")}`;
}

/** Starts it. It ends after the tests of the file. */
export async function startWorld(vars: Record<string, string> = {}): Promise<World> {
  const { url } = await serve({
    entry: "test/costs/entry.ts",
    // That ledgers ask who listens is counted by itself.
    vars: { ADMIN_PASSWORD: password, TOKEN_TTL: "1h", EVENT_QUIET: "60s", ...vars },
  });
  const control = async <T>(name: string) =>
    (await fetchOnce(`${url}/_test/${name}`))
      .text()
      .then((text) => (text === "" ? undefined : JSON.parse(text)) as T);
  const admin = new Caller(url, basic("admin", password));
  const json = { "Content-Type": "application/json" };
  const grants = [{ repository: "**", verbs: ["pull", "push"] }];
  await admin.must(201, "PUT", "/api/v1/accounts/member", {
    headers: json,
    body: JSON.stringify({ password, grants }),
  });
  const made = await admin.must(201, "POST", "/api/v1/accounts/member/tokens", {
    headers: json,
    body: JSON.stringify({ description: "costs" }),
  });
  const bearer = async (actions: string) => {
    const answer = await admin.must(
      200,
      "GET",
      `/token?service=stowage&offline_token=true&scope=repository:${repository}:${actions}&scope=registry:catalog:*&scope=repository:${publicRepository}:${actions}`,
    );
    return answer.json<{ token: string; refresh_token: string }>();
  };
  const [pull, push] = [await bearer("pull"), await bearer("pull,push,delete")];
  const pusher = new Caller(url, `Bearer ${push.token}`);
  const image = await pusher.pushImage(
    repository,
    "latest",
    Array.from({ length: 5 }, () => content(100 * 1024)),
  );
  await pusher.pushImage(publicRepository, "latest");
  await admin.must(200, "PATCH", `/api/v1/repositories/${publicRepository}`, {
    headers: json,
    body: JSON.stringify({ visibility: "public" }),
  });
  const large = await pusher.pushBlob(repository, content(mebibyte));
  const spend = async (isCold: boolean, request: () => Promise<unknown>) => {
    await control("spent");
    if (isCold) await control("cold");
    await request();
    return control<Spent>("spent");
  };
  return {
    admin,
    puller: new Caller(url, `Bearer ${pull.token}`),
    pusher,
    nobody: new Caller(url),
    member: new Caller(url, basic("member", password)),
    robot: new Caller(url, basic("member", made.json<{ secret: string }>().secret)),
    refreshToken: push.refresh_token,
    image,
    large,
    spend,
    statements: () => control("statements"),
  };
}
