/** Who guesses passwords, with a new name each time, is in nobody's way. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { expectError } from "../support/answer.ts";
import type { Credential } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";

const maxAddressFailures = 20;

const registry = await startClosedRegistry({}, { maxAddressFailures });
const grants = [{ repository: "team/**", verbs: ["pull" as const] }];
const names = ["alice", "bob", "carol", "dave", "erin", "frank", "grace"];
const accounts = new Map<string, { name: string; password: string }>();
for (const name of names) accounts.set(name, await registry.account(name, grants));

function account(name: string): { name: string; password: string } {
  const known = accounts.get(name);
  assert(known !== undefined);
  return known;
}

/** The ways in which a password is shown. */
const doors: [name: string, show: (as: { name: string; password: string }) => LogIn][] = [
  ["Basic on /v2/", (as) => ({ method: "GET", path: "/v2/", as })],
  ["Basic on the management API", (as) => ({ method: "GET", path: `/api/v1/accounts/${as.name}`, as })],
  ["Basic at /token", (as) => ({ method: "GET", path: "/token", as })],
  [
    "the password grant at /token",
    ({ name, password }) => ({
      method: "POST",
      path: "/token",
      form: [
        ["grant_type", "password"],
        ["username", name],
        ["password", password],
      ],
    }),
  ],
];

type LogIn = { method: string; path: string; as?: Credential; form?: [string, string][] };

function send({ method, path, ...options }: LogIn, address?: string) {
  const headers: Record<string, string> = address === undefined ? {} : { "CF-Connecting-IP": address };
  return registry.send(method, path, { ...options, headers });
}

function logIn(as: Credential, address?: string) {
  return send({ method: "GET", path: "/v2/", as }, address);
}

/** How long after one derivation the next one may begin. */
const derivationEveryMs = 50;

let guesses = 0;
function randomName(): { name: string; password: string } {
  return { name: `guess-${guesses++}-${crypto.randomUUID()}`, password: "wrong password" };
}

/** Guesses at once, each from the address that is named for it; returns for how many a hash was derived. */
async function flood(count: number, addressOf: (guess: number) => string | undefined, door = doors[0]) {
  const show = door?.[1];
  assert(show !== undefined);
  const beganAt = performance.now();
  const answers = await Promise.all(
    Array.from({ length: count }, (_, guess) => send(show(randomName()), addressOf(guess))),
  );
  const elapsedMs = performance.now() - beganAt;
  const refused = answers.filter(({ status }) => status === 429);
  for (const answer of refused) assert.match(answer.header("Retry-After"), /^\d+$/);
  assert(answers.every(({ status }) => status === 429 || status === 401));
  const derived = count - refused.length;
  // However slow the machine is: in so much time no more of them may have begun.
  assert(derived <= elapsedMs / derivationEveryMs + 2, `${derived} derived in ${elapsedMs} ms`);
  return derived;
}

/** Has the names of accounts read by the next guess that finds no place. They are known for a minute then. */
function readNamesAnew(): Promise<void> {
  return registry.advance(61_000);
}

/** Guesses one after the other, until the address has failed too often. */
async function exhaust(address: string): Promise<void> {
  for (let failures = 0; failures <= 2 * maxAddressFailures + 1; failures++) {
    const { status } = await logIn(randomName(), address);
    if (status === 429) return assert(failures >= maxAddressFailures, `${failures} failures`);
    assert.equal(status, 401);
  }
  assert.fail("never refused");
}

describe("many guesses of passwords at once", () => {
  for (const [index, door] of doors.entries()) {
    test(`are bounded, by ${door[0]}`, async () => {
      const derived = await flood(48, () => undefined, door);
      assert(derived >= 16, `${derived} derived`);
      const ofOne = await flood(12, () => `192.0.2.${10 + index}`, door);
      assert(ofOne >= 4, `${ofOne} derived of one address`);
    });
  }

  test("of one /64 count as one address, and of IPv4 in the form of IPv6 as that", async () => {
    // There are places for all of twelve addresses, and some of one are refused.
    assert((await flood(12, (guess) => `2001:db8:0:7::${guess + 1}`)) < 12);
    assert((await flood(12, (guess) => (guess % 2 === 0 ? "192.0.2.20" : "::ffff:192.0.2.20"))) < 12);
  });

  test("leave their places to those who come from elsewhere", async () => {
    const flooding = flood(24, () => "192.0.2.21");
    const others = await Promise.all(
      ["192.0.2.22", "2001:db8:0:8::1", "2001:db8:0:9::1"].map((address) => logIn(randomName(), address)),
    );
    assert.deepEqual(
      others.map(({ status }) => status),
      [401, 401, 401],
    );
    await flooding;
  });

  test("reach the catalog no more often than there are places", async () => {
    await readNamesAnew();
    await flood(48, () => undefined);
    await registry.takeCalls();
    const derived = await flood(48, () => undefined);
    const calls = await registry.takeCalls();
    assert.equal(calls["CATALOG.account"], derived);
    assert.equal(calls["CATALOG.accountNames"], undefined, "the names are known from before");
    assert.equal(calls["LOGIN_FAILURES.limit"], derived);
  });

  test("stop no account's first try, no token, no administrator and no new account", async () => {
    const { secret } = await registry.generateToken("alice");
    const bearer = await registry.as(admin).bearer("repository:team/app:pull");
    let isOver = false;
    const flooding = Promise.all(
      Array.from({ length: 40 }, async () => {
        while (!isOver) await logIn(randomName());
      }),
    );
    for (const as of [account("alice"), secret, bearer, admin, account("alice")]) {
      assert.equal((await logIn(as)).status, 200);
    }
    assert.equal((await logIn(await registry.account("newcomer", grants))).status, 200);
    isOver = true;
    await flooding;
  });
});

describe("an address that failed to log in too often", () => {
  const address = "198.51.100.1";

  test("may derive nothing any more, for a minute, wherever else the names come from", async () => {
    await readNamesAnew();
    await logIn(account("alice"), address);
    await exhaust(address);
    await registry.takeCalls();
    const refused = await logIn(randomName(), address);
    expectError(refused, 429, "TOOMANYREQUESTS");
    assert.deepEqual(await registry.takeCalls(), {}, "and costs no call");
    assert.equal((await logIn(randomName(), "198.51.100.2")).status, 401);
  });

  test("goes on with what needs no derivation", async () => {
    const { secret } = await registry.generateToken("bob");
    const bearer = await registry.as(admin).bearer("repository:team/app:pull");
    const { name } = account("bob");
    for (const as of [account("alice"), secret, { name, password: secret }, bearer, admin]) {
      assert.equal((await logIn(as, address)).status, 200, JSON.stringify(as));
    }
  });

  for (const [index, [name, show]] of doors.entries()) {
    test(`lets an account log in once a minute, by ${name}`, async () => {
      const as = account(["carol", "dave", "erin", "frank"][index] ?? "");
      assert.equal((await send(show(as), address)).status, 200);
    });
  }

  test("lets a new account log in", async () => {
    await logIn(randomName(), address);
    assert.equal((await logIn(await registry.account("heidi", grants), address)).status, 200);
  });

  test("has nothing derived for an account that is no more", async () => {
    await registry.account("ivan", grants);
    await registry.must(204, "DELETE", "/api/v1/accounts/ivan", { as: admin });
    await registry.takeCalls();
    assert.equal((await logIn({ name: "ivan", password: "wrong password" }, address)).status, 429);
    assert.deepEqual(await registry.takeCalls(), { "CATALOG.account": 1 });
  });

  test("learns nothing of which accounts there are", async () => {
    const isTold = async (name: string) => {
      const beganAt = performance.now();
      const { status } = await logIn({ name, password: "wrong password" }, address);
      assert(performance.now() - beganAt >= 195, "told after as long");
      return status;
    };
    assert.deepEqual([await isTold("bob"), await isTold("nobody")], [429, 429]);
    assert.equal((await logIn(account("bob"), address)).status, 429, "a second try has no place");
    assert.equal((await logIn(account("bob"), "198.51.100.3")).status, 200, "but elsewhere");
  });

  test("is let in again after a minute, and an account to another first try", async () => {
    await registry.advance(61_000);
    assert.equal((await logIn(account("bob"), address)).status, 200);
    assert.equal((await logIn(randomName(), address)).status, 401);
  });

  test("is a /64 of IPv6", async () => {
    await exhaust("2001:db8:1:2::1");
    assert.equal((await logIn(randomName(), "2001:db8:1:2:ffff::9")).status, 429);
    assert.equal((await logIn(randomName(), "2001:db8:1:3::1")).status, 401);
  });

  test("is none where there is no address", async () => {
    for (const address of [undefined, "unknown"]) {
      for (let failures = 0; failures < 2 * maxAddressFailures + 2; failures++) {
        assert.equal((await logIn(randomName(), address)).status, 401);
      }
    }
  });
});

test("a password that is remembered keeps no place among those that are checked", async () => {
  for (let i = 0; i < 8; i++) assert.equal((await logIn(account("grace"), "203.0.113.2")).status, 200);
  assert.equal((await logIn(randomName(), "203.0.113.2")).status, 401);
});

test("new passwords that are hashed at once are bounded, too", async () => {
  const beganAt = performance.now();
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, number) =>
      registry.send("PUT", `/api/v1/accounts/many-${number}`, {
        as: admin,
        json: { password: crypto.randomUUID(), grants },
        headers: { "CF-Connecting-IP": "203.0.113.3" },
      }),
    ),
  );
  const made = answers.filter(({ status }) => status === 201).length;
  const refused = answers.filter(({ status }) => status === 429).length;
  assert.equal(made + refused, 100);
  // One begins every 30 ms, however slow the machine is.
  const most = (performance.now() - beganAt) / 30 + 2;
  assert(made >= 32 && made <= most, `${made} made, ${refused} refused`);
});

test("a wrong password under ordinary use is told so, and the right one follows", async () => {
  const { name, password } = account("grace");
  assert.equal((await logIn({ name, password: "mistyped" }, "203.0.113.1")).status, 401);
  assert.equal((await logIn({ name, password }, "203.0.113.1")).status, 200);
});
