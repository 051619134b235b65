/** One's own account: what it may do, its tokens and its password. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type Answer, send } from "../api.ts";
import { useAction, useData } from "../data.ts";
import { formatTime } from "../format.ts";
import { messages } from "../language.ts";
import { Ago, Badge, Command, Copy, Empty, Failed, Loading, useTitle } from "../parts/basics.tsx";
import { hostOf, useSurroundings } from "../session.ts";

type Token = Answer<"/accounts/{account}/tokens", "GET">["tokens"][number];
type NewToken = Answer<"/accounts/{account}/tokens", "POST">;

/** The screen. */
export function AccountScreen() {
  const words = messages();
  const { session } = useSurroundings();
  useTitle(words.account.title);
  const { account, isToken } = session;
  if (account === null) {
    return (
      <Empty title={words.account.title} isWholePage>
        {session.isOpen ? <p>{words.signIn.open}</p> : <a href="/sign-in?to=/account">{words.nav.signIn}</a>}
      </Empty>
    );
  }
  return (
    <>
      <h1>{account}</h1>
      <Grants />
      {isToken && <p class="notice">{words.account.byToken}</p>}
      {!isToken && <Tokens account={account} />}
      {!isToken && <Password account={account} />}
    </>
  );
}

function Grants() {
  const words = messages().account;
  const { session } = useSurroundings();
  const grants = session.grants.flat();
  return (
    <section class="card">
      <h2>{words.grants}</h2>
      {session.isAdministrator && <p>{words.administrator}</p>}
      {!session.isAdministrator && grants.length === 0 && <p>{words.noGrants}</p>}
      {!session.isAdministrator && grants.length > 0 && (
        <table class="list">
          <thead>
            <tr>
              <th>{words.pattern}</th>
              <th>{words.verbs}</th>
            </tr>
          </thead>
          <tbody>
            {grants.map(({ repository, verbs }) => (
              <tr key={repository}>
                <td class="main">
                  <code>{repository}</code>
                </td>
                <td>
                  {verbs.map((verb) => (
                    <Badge key={verb}>{verb}</Badge>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Tokens({ account }: { account: string }) {
  const words = messages().account;
  const params = { account };
  const { data, error, reload } = useData(`tokens ${account}`, (signal) =>
    send("GET", "/accounts/{account}/tokens", { params, signal }),
  );
  const [made, setMade] = useState<NewToken>();
  const deletion = useAction();
  const remove = async (token: Token) => {
    if (!confirm(words.deleteSure(token.description))) return;
    const path = "/accounts/{account}/tokens/{token}";
    if (await deletion.run(() => send("DELETE", path, { params: { account, token: token.id } }))) reload();
  };
  return (
    <section class="card">
      <h2>{words.tokens}</h2>
      <p class="faint">{words.tokensText}</p>
      {made !== undefined && <Secret account={account} token={made} close={() => setMade(undefined)} />}
      {error !== undefined && <Failed error={error} retry={reload} />}
      {deletion.error !== undefined && <Failed error={deletion.error} />}
      {data === undefined && error === undefined && <Loading rows={2} />}
      {data?.tokens.length === 0 && <p>{words.noTokens}</p>}
      {data !== undefined && data.tokens.length > 0 && (
        <table class="list">
          <thead>
            <tr>
              <th>{words.description}</th>
              <th>{words.pattern}</th>
              <th>{words.expires}</th>
              <th>{words.lastUsed}</th>
              <td />
            </tr>
          </thead>
          <tbody>
            {data.tokens.map((token) => (
              <tr key={token.id}>
                <td class="main">{token.description}</td>
                <td>
                  {token.grants?.map(({ repository, verbs }) => (
                    <div key={repository}>
                      <code>{repository}</code> <span class="faint">{verbs.join(", ")}</span>
                    </div>
                  ))}
                </td>
                <td data-label={words.expires}>
                  {token.expiresAt === undefined ? words.never : formatTime(token.expiresAt)}
                </td>
                <td data-label={words.lastUsed}>
                  {token.lastUsed === undefined ? words.never : <Ago time={token.lastUsed} />}
                </td>
                <td class="number">
                  <button
                    type="button"
                    class="quiet danger"
                    aria-label={`${words.delete}: ${token.description}`}
                    disabled={deletion.isBusy}
                    onClick={() => remove(token)}
                  >
                    {words.delete}
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <TokenForm
        account={account}
        made={(token) => {
          setMade(token);
          reload();
        }}
      />
    </section>
  );
}

/** The secret of a new token, which nobody sees again. */
function Secret({ account, token, close }: { account: string; token: NewToken; close: () => void }) {
  const words = messages().account;
  const { info } = useSurroundings();
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.focus(), []);
  return (
    <div class="notice secret" role="status" tabIndex={-1} ref={box}>
      <strong>{words.secretTitle}</strong>
      <p>{words.secretText}</p>
      <div class="command">
        <code tabIndex={0}>{token.secret}</code>
        <Copy text={token.secret} label={words.secretTitle} />
      </div>
      <Command text={`docker login -u ${account} ${hostOf(info)}`} />
      <button type="button" onClick={close}>
        {messages().close}
      </button>
    </div>
  );
}

const daySeconds = 86_400;
const tokenVerbs = ["pull", "push", "delete"] as const;

function TokenForm({ account, made }: { account: string; made: (token: NewToken) => void }) {
  const words = messages().account;
  const { run, isBusy, error } = useAction();
  const [description, setDescription] = useState("");
  const [days, setDays] = useState("90");
  const [pattern, setPattern] = useState("");
  const [verbs, setVerbs] = useState<(typeof tokenVerbs)[number][]>(["pull"]);
  const submit = async (event: Event) => {
    event.preventDefault();
    const grants = pattern.trim() === "" ? {} : { grants: [{ repository: pattern.trim(), verbs }] };
    const ends = days === "" ? {} : { expiresInSeconds: Number(days) * daySeconds };
    await run(async () => {
      const body = { description, ...grants, ...ends };
      made(await send("POST", "/accounts/{account}/tokens", { params: { account }, body }));
      setDescription("");
      setPattern("");
    });
  };
  return (
    <form class="fields" onSubmit={submit}>
      <label>
        <span>{words.description}</span>
        <input
          required
          maxLength={200}
          value={description}
          onInput={(event) => setDescription(event.currentTarget.value)}
        />
      </label>
      <label>
        <span>{words.limit}</span>
        <input
          placeholder="team/**"
          title={words.limitHint}
          spellcheck={false}
          autocapitalize="none"
          value={pattern}
          onInput={(event) => setPattern(event.currentTarget.value)}
        />
      </label>
      <label>
        <span>{words.expires}</span>
        <select value={days} onChange={(event) => setDays(event.currentTarget.value)}>
          {["30", "90", "365", ""].map((each) => (
            <option key={each} value={each}>
              {words.lifetimes[each]}
            </option>
          ))}
        </select>
      </label>
      {pattern.trim() !== "" && (
        <fieldset class="row">
          <legend>{words.may}</legend>
          {tokenVerbs.map((verb) => (
            <label key={verb} class="check">
              <input
                type="checkbox"
                checked={verbs.includes(verb)}
                onChange={(event) =>
                  setVerbs(
                    event.currentTarget.checked ? [...verbs, verb] : verbs.filter((each) => each !== verb),
                  )
                }
              />
              {verb}
            </label>
          ))}
        </fieldset>
      )}
      {error !== undefined && <Failed error={error} />}
      <button type="submit" class="primary" disabled={isBusy}>
        {words.create}
      </button>
    </form>
  );
}

function Password({ account }: { account: string }) {
  const words = messages().account;
  const { run, isBusy, error } = useAction();
  const [current, setCurrent] = useState("");
  const [password, setPassword] = useState("");
  const [isChanged, setChanged] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    const isDone = await run(() => send("PUT", "/account/password", { body: { current, password } }));
    setChanged(isDone);
    if (!isDone) return;
    setCurrent("");
    setPassword("");
  };
  if (account === "admin") {
    return (
      <section class="card">
        <h2>{words.password}</h2>
        <p>{words.adminPassword}</p>
      </section>
    );
  }
  return (
    <form class="card" onSubmit={submit}>
      <h2>{words.password}</h2>
      <input type="text" autocomplete="username" value={account} hidden readOnly />
      <div class="fields">
        <label>
          <span>{words.current}</span>
          <input
            type="password"
            autocomplete="current-password"
            required
            value={current}
            onInput={(event) => setCurrent(event.currentTarget.value)}
          />
        </label>
        <label>
          <span>{words.next}</span>
          <input
            type="password"
            autocomplete="new-password"
            required
            minLength={12}
            maxLength={512}
            title={words.passwordHint}
            value={password}
            onInput={(event) => setPassword(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="primary" disabled={isBusy}>
          {words.change}
        </button>
      </div>
      <p class="faint">{words.passwordHint}</p>
      {error !== undefined && <Failed error={error} />}
      <p role="status">{isChanged && words.changed}</p>
    </form>
  );
}
