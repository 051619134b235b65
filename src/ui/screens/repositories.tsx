/** All repositories, or those that match: by list or by folder, sorted and filtered. The address has all of that. */
import { useLocation } from "preact-iso/router";
import type { Answer } from "../api.ts";
import { addressOf } from "../api.ts";
import { usePages } from "../data.ts";
import { formatBytes, formatCount } from "../format.ts";
import { messages } from "../language.ts";
import {
  Ago,
  Badge,
  Command,
  Empty,
  Failed,
  Kinds,
  Loading,
  More,
  Select,
  useTitle,
} from "../parts/basics.tsx";
import { referencePath, repositoryPath, withQuery } from "../paths.ts";
import { hostOf, useSurroundings } from "../session.ts";

type Found = Answer<"/search">;
type Repository = Found["repositories"][number];

const pageSize = 50;

/** The screen. */
export function RepositoriesScreen() {
  const words = messages().repositories;
  const { query, path, route } = useLocation();
  const { q = "", kind = "", visibility = "", platform = "", view = "" } = query;
  const sort = query.sort ?? (q === "" ? "name" : "relevance");
  const address = addressOf("/search", {}, { q, kind, visibility, platform, sort, n: pageSize });
  const pages = usePages<"/search">(address);
  useTitle(q === "" ? words.title : words.results(q));
  const set = (change: Record<string, string>) => route(withQuery(path, { ...query, ...change }), true);
  const repositories = pages.data?.flatMap((page) => page.repositories);
  const tags = pages.data?.[0]?.tags ?? [];
  const isFiltered = q !== "" || kind !== "" || visibility !== "" || platform !== "";
  return (
    <>
      <div class="heading">
        <h1>{q === "" ? words.title : words.results(q)}</h1>
        {isFiltered && <a href={path === "/search" ? "/" : path}>{words.clear}</a>}
      </div>
      <Filters {...{ kind, visibility, platform, sort, view, hasText: q !== "" }} set={set} />
      {pages.error !== undefined && <Failed error={pages.error} retry={pages.reload} />}
      {tags.length > 0 && <FoundTags tags={tags} />}
      {pages.error === undefined && repositories === undefined && <Loading rows={8} />}
      {repositories?.length === 0 && tags.length === 0 && <Nothing isFiltered={isFiltered} />}
      {repositories !== undefined && repositories.length > 0 && (
        <div class={pages.isLoading ? "stale" : undefined}>
          {view === "folders" ? <Folders {...{ repositories }} /> : <Table {...{ repositories }} />}
        </div>
      )}
      <More more={pages.more} isLoading={pages.isLoading} />
    </>
  );
}

function Filters(props: {
  kind: string;
  visibility: string;
  platform: string;
  sort: string;
  view: string;
  hasText: boolean;
  set: (change: Record<string, string>) => void;
}) {
  const { kind, visibility, platform, sort, view, hasText, set } = props;
  const { repositories: words, kinds, visibility: visibilities } = messages();
  const kindOptions = ["image", "index", "chart", "artifact"].map(
    (each) => [each, kinds[each] ?? each] as const,
  );
  const sorts = ["relevance", "name", "pushed", "pulled", "pulls", "size"].filter(
    (each) => hasText || each !== "relevance",
  );
  return (
    <div class="filters">
      <Select
        label={words.kind}
        value={kind}
        options={[["", words.any], ...kindOptions]}
        onChange={(chosen) => set({ kind: chosen })}
      />
      <Select
        label={words.platform}
        value={platform}
        options={[
          ["", words.any],
          ...["linux/amd64", "linux/arm64", "linux/arm/v7", "windows/amd64"].map(
            (each) => [each, each] as const,
          ),
        ]}
        onChange={(chosen) => set({ platform: chosen })}
      />
      <Select
        label={words.visibility}
        value={visibility}
        options={[
          ["", words.any],
          ["public", visibilities.public ?? ""],
          ["private", visibilities.private ?? ""],
        ]}
        onChange={(chosen) => set({ visibility: chosen })}
      />
      <span class="spring" />
      <Select
        label={words.sort}
        value={sort}
        options={sorts.map((each) => [each, words.sorts[each] ?? each] as const)}
        onChange={(chosen) => set({ sort: chosen })}
      />
      <Select
        label={words.view}
        value={view}
        options={[
          ["", words.flat],
          ["folders", words.folders],
        ]}
        onChange={(chosen) => set({ view: chosen })}
      />
    </div>
  );
}

function Table({ repositories }: { repositories: Repository[] }) {
  const words = messages().repositories;
  return (
    <table class="list repositories">
      <thead>
        <tr>
          <th>{words.name}</th>
          <th>{words.kinds}</th>
          <th class="number">{words.tags}</th>
          <th class="number">{words.size}</th>
          <th class="number">{words.pulls}</th>
          <th>{words.pushed}</th>
        </tr>
      </thead>
      <tbody>
        {repositories.map((repository) => (
          <Row key={repository.name} repository={repository} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ repository }: { repository: Repository }) {
  const words = messages();
  const { name, description, visibility, kinds, tags, size, pulls, pushedAt, pushedBy } = repository;
  const slash = name.lastIndexOf("/") + 1;
  return (
    <tr>
      <td class="main">
        <a href={repositoryPath(name)}>
          <span class="folder">{name.slice(0, slash)}</span>
          <strong>{name.slice(slash)}</strong>
        </a>{" "}
        {visibility === "public" && <Badge tone="public">{words.visibility.public}</Badge>}
        {description !== "" && <div class="faint clip">{firstLine(description)}</div>}
      </td>
      <td>
        <Kinds kinds={kinds} />
      </td>
      <td class="number" data-label={words.repositories.tags}>
        {formatCount(tags)}
      </td>
      <td class="number" data-label={words.repositories.size}>
        {formatBytes(size)}
      </td>
      <td class="number" data-label={words.repositories.pulls}>
        {formatCount(pulls)}
      </td>
      <td data-label={words.repositories.pushed}>
        <Ago time={pushedAt} />
        {pushedBy !== undefined && <span class="faint"> {words.by(pushedBy)}</span>}
      </td>
    </tr>
  );
}

/** The first line of a text in Markdown, without its marks. */
function firstLine(text: string): string {
  const line = text.split("\n").find((each) => each.trim() !== "") ?? "";
  return line.replace(/^[#>\s*-]+/, "").replace(/[*_`]|\[([^\]]*)\]\([^)]*\)/g, "$1");
}

/** Repositories by the first part of their names. */
function Folders({ repositories }: { repositories: Repository[] }) {
  const words = messages().repositories;
  const folders = new Map<string, Repository[]>();
  for (const repository of repositories) {
    const folder = repository.name.includes("/") ? `${repository.name.split("/")[0]}/` : "";
    folders.set(folder, [...(folders.get(folder) ?? []), repository]);
  }
  return (
    <div class="folders">
      {[...folders].map(([folder, inside]) => (
        <details key={folder} open>
          <summary>
            <strong>{folder === "" ? "/" : folder}</strong>{" "}
            <span class="faint">{words.count(inside.length)}</span>
          </summary>
          <Table repositories={inside} />
        </details>
      ))}
    </div>
  );
}

function FoundTags({ tags }: { tags: Found["tags"] }) {
  return (
    <section>
      <h2>{messages().search.tags}</h2>
      <ul class="plain">
        {tags.map(({ repository, tag }) => (
          <li key={`${repository}:${tag}`}>
            <a href={referencePath(repository, tag)}>
              {repository}:<strong>{tag}</strong>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Nothing({ isFiltered }: { isFiltered: boolean }) {
  const { repositories: words, search } = messages();
  const { session, info } = useSurroundings();
  if (isFiltered) {
    return (
      <Empty title={words.noneTitle}>
        <p>
          {words.noneText} {search.tip}
        </p>
      </Empty>
    );
  }
  const isSignedOut = session.account === null && !session.isOpen;
  return (
    <Empty title={words.emptyTitle}>
      {isSignedOut ? (
        <p>{words.emptySignedOut}</p>
      ) : (
        <FirstPush host={hostOf(info)} account={session.account} />
      )}
    </Empty>
  );
}

function FirstPush({ host, account }: { host: string; account: string | null }) {
  return (
    <>
      <p>{messages().repositories.emptyText}</p>
      {account !== null && <Command text={`docker login -u ${account} ${host}`} />}
      <Command text={`docker tag IMAGE ${host}/team/app:v1`} />
      <Command text={`docker push ${host}/team/app:v1`} />
    </>
  );
}
