/** A repository: its facts, how to pull from it, and its tags, history, description and settings. */
import { type Answer, send } from "../api.ts";
import { useData } from "../data.ts";
import { formatBytes, formatCount } from "../format.ts";
import { messages } from "../language.ts";
import { Ago, Badge, Empty, Failed, Loading, useTitle } from "../parts/basics.tsx";
import { Crumbs } from "../parts/crumbs.tsx";
import { Markdown } from "../parts/markdown.tsx";
import { repositoryPath, type Tab, tabs } from "../paths.ts";
import { HistoryTab } from "./history.tsx";
import { RulesTab } from "./rules.tsx";
import { SettingsTab } from "./settings.tsx";
import { TagsTab } from "./tags.tsx";
import { UntaggedTab } from "./untagged.tsx";

type Repository = Answer<"/repositories/{name}", "GET">;

/** The screen. */
export function RepositoryScreen({ name, tab }: { name: string; tab: Tab }) {
  const read = (signal: AbortSignal) => send("GET", "/repositories/{name}", { params: { name }, signal });
  const { data, error, reload } = useData(`repository ${name}`, read);
  useTitle(name);
  return (
    <>
      <Crumbs name={name} isHere />
      {error !== undefined && <Failed error={error} retry={reload} />}
      {error === undefined && (
        <>
          <Facts repository={data?.name === name ? data : undefined} />
          <Tabs name={name} tab={tab} repository={data?.name === name ? data : undefined} />
          {tab === "tags" && <TagsTab name={name} />}
          {data?.name === name && <OtherTab repository={data} tab={tab} reload={reload} />}
          {data === undefined && tab !== "tags" && <Loading />}
        </>
      )}
    </>
  );
}

function OtherTab({ repository, tab, reload }: { repository: Repository; tab: Tab; reload: () => void }) {
  switch (tab) {
    case "tags":
      return null;
    case "readme":
      return <About text={repository.readme || repository.description} />;
    case "history":
      return <HistoryTab name={repository.name} mayPush={repository.may.includes("push")} />;
    case "rules":
      return <RulesTab name={repository.name} may={repository.may} />;
    case "untagged":
      return <UntaggedTab name={repository.name} />;
    case "settings":
      return <SettingsTab repository={repository} reload={reload} />;
  }
}

function Facts({ repository }: { repository: Repository | undefined }) {
  const words = messages();
  if (repository === undefined) return <div class="facts waiting" />;
  const { visibility, tags, stored, logical, pulls, pushedAt, pushedBy, lastUsed, lastPulledAt } = repository;
  const used = [lastUsed, lastPulledAt?.slice(0, 10)]
    .filter((day) => day !== undefined)
    .toSorted()
    .at(-1);
  return (
    <dl class="facts">
      <div>
        <dt>{words.repositories.visibility}</dt>
        <dd>
          <Badge tone={visibility}>{words.visibility[visibility]}</Badge>
        </dd>
      </div>
      <div>
        <dt>{words.repository.tags}</dt>
        <dd>{formatCount(tags)}</dd>
      </div>
      <div>
        <dt>{words.repository.stored}</dt>
        <dd title={words.repository.logical(formatBytes(logical.bytes))}>{formatBytes(stored.bytes)}</dd>
      </div>
      <div>
        <dt>{words.repository.pulls}</dt>
        <dd>{formatCount(pulls)}</dd>
      </div>
      <div>
        <dt>{words.repository.lastUse}</dt>
        <dd>{used === undefined ? words.repository.never : <Ago time={used} />}</dd>
      </div>
      <div>
        <dt>{words.repository.lastPush}</dt>
        <dd>
          <Ago time={pushedAt} />
          {pushedBy !== undefined && <span class="faint"> {words.by(pushedBy)}</span>}
        </dd>
      </div>
    </dl>
  );
}

/** The tabs that are offered: not those of which the answer would be that one may not. */
function isOffered(tab: Tab, repository: Repository | undefined): boolean {
  if (tab === "settings") return repository?.may.includes("admin") === true;
  return (tab !== "history" && tab !== "untagged") || repository?.granted === true;
}

function Tabs(props: { name: string; tab: Tab; repository: Repository | undefined }) {
  const { name, tab, repository } = props;
  const words = messages().repository.tabs;
  return (
    <nav class="tabs" aria-label={name}>
      {tabs
        .filter((each) => isOffered(each, repository))
        .map((each) => (
          <a key={each} href={repositoryPath(name, each)} aria-current={each === tab ? "page" : undefined}>
            {words[each]}
          </a>
        ))}
    </nav>
  );
}

function About({ text }: { text: string }) {
  const words = messages().readme;
  if (text.trim() === "") {
    return (
      <Empty title={words.none}>
        <p>{words.noneText}</p>
      </Empty>
    );
  }
  return (
    <div class="card">
      <Markdown text={text} />
    </div>
  );
}
