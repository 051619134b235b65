/** The interface: what is around every screen, and the screen that the path names. */
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { LocationProvider, useLocation } from "preact-iso/router";
import "./style.css";
import "./theme.ts";
import { send } from "./api.ts";
import { useData } from "./data.ts";
import { chooseLanguage, language, languages, messages } from "./language.ts";
import { Empty, Failed, Loading, Select, useTitle } from "./parts/basics.tsx";
import { SearchBox } from "./parts/search-box.tsx";
import { type Screen, screenOf, withQuery } from "./paths.ts";
import { AccountScreen } from "./screens/account.tsx";
import { DeletedScreen } from "./screens/deleted.tsx";
import { ReferenceScreen } from "./screens/reference.tsx";
import { RepositoriesScreen } from "./screens/repositories.tsx";
import { RepositoryScreen } from "./screens/repository.tsx";
import { SignInScreen } from "./screens/sign-in.tsx";
import { UsageScreen } from "./screens/usage.tsx";
import { WaitingScreen } from "./screens/waiting.tsx";
import { SurroundingsContext } from "./session.ts";
import { chooseTheme, chosenTheme, type Theme, themes } from "./theme.ts";

function App() {
  const [, setLanguage] = useState(language());
  const session = useData("session", (signal) => send("GET", "/session", { signal }));
  const chosen = (tag: string) => {
    chooseLanguage(tag);
    setLanguage(tag);
  };
  if (session.data === undefined) {
    return (
      <main class="page">
        {session.error === undefined ? <Loading /> : <Failed error={session.error} retry={session.reload} />}
      </main>
    );
  }
  const info = session.data.registry;
  const surroundings = { session: session.data, info, refresh: session.reload };
  return (
    <SurroundingsContext.Provider value={surroundings}>
      <LocationProvider>
        <Header refresh={session.reload} session={session.data} />
        <Main />
        <footer>
          <span>Stowage {info.version}</span>
          {session.data.isOpen && <span>{messages().openBanner}</span>}
          <Preferences onLanguage={chosen} />
        </footer>
      </LocationProvider>
    </SurroundingsContext.Provider>
  );
}

function Header({
  session,
  refresh,
}: {
  session: { account: string | null; isOpen: boolean; isAdministrator: boolean };
  refresh: () => void;
}) {
  const words = messages();
  const { path, route } = useLocation();
  const signOut = async () => {
    await send("DELETE", "/session").catch(() => {});
    route("/");
    refresh();
  };
  const link = (href: string, text: string, isHere: boolean) => (
    <a href={href} aria-current={isHere ? "page" : undefined}>
      {text}
    </a>
  );
  const screen = screenOf(path).at;
  const isAmongRepositories = screen === "repositories" || screen === "repository" || screen === "reference";
  return (
    <header class="top">
      <a class="skip" href="#content">
        {words.skipToContent}
      </a>
      <a class="brand" href="/" aria-label="Stowage">
        <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
          <rect width="32" height="32" rx="7" />
          <path d="M6 12.5 16 7l10 5.5L16 18z" />
          <path d="m6 17.5 10 5.5 10-5.5" />
          <path d="m6 22 10 5.5L26 22" />
        </svg>
        <span>Stowage</span>
      </a>
      <nav aria-label={words.nav.main}>
        {link("/", words.nav.repositories, isAmongRepositories)}
        {session.isAdministrator && link("/usage", words.nav.usage, screen === "usage")}
        {session.isAdministrator && link("/deleted", words.nav.deleted, screen === "deleted")}
        {session.isAdministrator && link("/waiting", words.nav.waiting, screen === "waiting")}
      </nav>
      <SearchBox />
      <div class="who">
        {session.account !== null && (
          <>
            {link("/account", session.account, screen === "account")}
            <button type="button" class="quiet" onClick={signOut}>
              {words.nav.signOut}
            </button>
          </>
        )}
        {session.account === null && !session.isOpen && screen !== "sign-in" && (
          <a class="button" href={withQuery("/sign-in", { to: path === "/" ? undefined : path })}>
            {words.nav.signIn}
          </a>
        )}
      </div>
    </header>
  );
}

/** The screen. It gets the focus when another one is shown, so that who cannot see the page hears of it. */
function Main() {
  const { path } = useLocation();
  const main = useRef<HTMLElement>(null);
  const before = useRef(path);
  useEffect(() => {
    if (before.current !== path) {
      main.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    before.current = path;
  }, [path]);
  return (
    <main id="content" class="page" ref={main} tabIndex={-1}>
      {show(screenOf(path))}
    </main>
  );
}

function show(screen: Screen) {
  switch (screen.at) {
    case "repositories":
      return <RepositoriesScreen />;
    case "repository":
      return <RepositoryScreen name={screen.name} tab={screen.tab} />;
    case "reference":
      return <ReferenceScreen name={screen.name} reference={screen.reference} />;
    case "usage":
      return <UsageScreen />;
    case "deleted":
      return <DeletedScreen />;
    case "waiting":
      return <WaitingScreen />;
    case "account":
      return <AccountScreen />;
    case "sign-in":
      return <SignInScreen />;
    case "unknown":
      return <UnknownScreen />;
  }
}

function UnknownScreen() {
  const words = messages();
  useTitle(words.errors.page);
  return (
    <Empty title={words.errors.page} isWholePage>
      <a href="/">{words.nav.repositories}</a>
    </Empty>
  );
}

function Preferences({ onLanguage }: { onLanguage: (tag: string) => void }) {
  const words = messages();
  const [theme, setTheme] = useState(chosenTheme());
  const choose = (chosen: Theme) => {
    chooseTheme(chosen);
    setTheme(chosen);
  };
  return (
    <div class="row">
      <Select
        label={words.theme}
        value={theme}
        options={themes.map((each) => [each, words.themes[each]] as const)}
        onChange={choose}
      />
      <Select
        label={words.language}
        value={language()}
        options={Object.entries(languages).map(([tag, { languageName }]) => [tag, languageName] as const)}
        onChange={onLanguage}
      />
    </div>
  );
}

const root = document.getElementById("app");
if (root !== null) render(<App />, root);
