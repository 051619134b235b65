/** Signing in. */

import { useState } from "preact/hooks";
import { useLocation } from "preact-iso/router";
import { send } from "../api.ts";
import { useAction } from "../data.ts";
import { messages } from "../language.ts";
import { Empty, Failed, useTitle } from "../parts/basics.tsx";
import { useSurroundings } from "../session.ts";

/** The screen. Where browsers keep no session, it says why. */
export function SignInScreen() {
  const words = messages().signIn;
  const { session, refresh } = useSurroundings();
  const { query, route } = useLocation();
  const { run, isBusy, error } = useAction();
  const [account, setAccount] = useState("");
  const [password, setPassword] = useState("");
  useTitle(words.title);
  if (session.isOpen)
    return (
      <Empty title={words.title} isWholePage>
        <p>{words.open}</p>
      </Empty>
    );
  if (!isSecureContext) {
    return (
      <Empty title={words.insecureTitle} isWholePage>
        <p>{words.insecureText}</p>
      </Empty>
    );
  }
  const submit = async (event: Event) => {
    event.preventDefault();
    const isIn = await run(() => send("POST", "/session", { body: { account, password } }));
    if (!isIn) return;
    refresh();
    route(ownPath(query.to), true);
  };
  return (
    <form class="card narrow" onSubmit={submit}>
      <h1>{words.title}</h1>
      <label>
        <span>{words.account}</span>
        <input
          name="account"
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
          required
          value={account}
          onInput={(event) => setAccount(event.currentTarget.value)}
        />
      </label>
      <label>
        <span>{words.password}</span>
        <input
          name="password"
          type="password"
          autocomplete="current-password"
          required
          value={password}
          onInput={(event) => setPassword(event.currentTarget.value)}
        />
      </label>
      {error !== undefined &&
        (error.status === 401 ? (
          <p class="failed" role="alert">
            {words.failed}
          </p>
        ) : (
          <Failed error={error} />
        ))}
      <button type="submit" class="primary" disabled={isBusy}>
        {words.submit}
      </button>
      <p class="faint">{words.hint}</p>
    </form>
  );
}

/** A path of this page; anything else leads to the first screen. */
function ownPath(path: string | undefined): string {
  return path !== undefined && /^\/(?![/\\])/.test(path) ? path : "/";
}
