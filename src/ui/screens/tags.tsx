/** The tags of a repository: the latest version first, with those that point at the same manifest beside it. */
import { useLocation } from "preact-iso/router";
import { type Answer, addressOf } from "../api.ts";
import { usePages } from "../data.ts";
import { formatBytes } from "../format.ts";
import { messages } from "../language.ts";
import { Ago, Badge, Command, Empty, Failed, Kinds, Loading, More, Select } from "../parts/basics.tsx";
import { Pull } from "../parts/pull.tsx";
import { referencePath, withQuery } from "../paths.ts";
import { hostOf, useSurroundings } from "../session.ts";

type Tag = Answer<"/repositories/{name}/tags", "GET">["tags"][number];

const pageSize = 100;

/** The tab. */
export function TagsTab({ name }: { name: string }) {
  const words = messages().tags;
  const { query, path, route } = useLocation();
  const { filter = "", sort = "version" } = query;
  const address = addressOf("/repositories/{name}/tags", { name }, { query: filter, sort, n: pageSize });
  const pages = usePages<"/repositories/{name}/tags">(address);
  const set = (change: Record<string, string>) => route(withQuery(path, { ...query, ...change }), true);
  const groups = groupsOf(pages.data?.flatMap((page) => page.tags) ?? []);
  const first = groups[0]?.[0];
  return (
    <>
      {first !== undefined && filter === "" && (
        <Pull name={name} tag={first.tag} digest={first.digest} kind={first.kind} />
      )}
      <div class="filters">
        <label class="select">
          <span>{words.filter}</span>
          <input
            type="search"
            value={filter}
            spellcheck={false}
            onInput={(event) => set({ filter: event.currentTarget.value })}
          />
        </label>
        <span class="spring" />
        <Select
          label={words.sort}
          value={sort}
          options={["version", "name", "pushed", "used", "size"].map(
            (each) => [each, words.sorts[each] ?? each] as const,
          )}
          onChange={(chosen) => set({ sort: chosen })}
        />
      </div>
      {pages.error !== undefined && <Failed error={pages.error} retry={pages.reload} />}
      {pages.data === undefined && pages.error === undefined && <Loading rows={8} />}
      {pages.data !== undefined && groups.length === 0 && <NoTags name={name} isFiltered={filter !== ""} />}
      {groups.length > 0 && (
        <table class={pages.isLoading ? "list tags stale" : "list tags"}>
          <thead>
            <tr>
              <th>{words.tag}</th>
              <th>{words.platforms}</th>
              <th class="number">{words.size}</th>
              <th>{words.attached}</th>
              <th>{words.used}</th>
              <th>{words.pushed}</th>
            </tr>
          </thead>
          <tbody>
            {groups.map((group) => (
              <Row key={group[0]?.tag} name={name} group={group} />
            ))}
          </tbody>
        </table>
      )}
      <More more={pages.more} isLoading={pages.isLoading} />
    </>
  );
}

/** Tags of the same manifest, at the place of the first of them. */
function groupsOf(tags: Tag[]): Tag[][] {
  const groups = new Map<string, Tag[]>();
  for (const tag of tags) groups.set(tag.digest, [...(groups.get(tag.digest) ?? []), tag]);
  return [...groups.values()];
}

const maxPlatforms = 3;

function Row({ name, group }: { name: string; group: Tag[] }) {
  const words = messages();
  const [first, ...others] = group;
  if (first === undefined) return null;
  const { tag, kind, platforms = [], imageSize, referrers = {}, lastUsed, updatedAt, updatedBy } = first;
  return (
    <tr>
      <td class="main">
        <a href={referencePath(name, tag)}>
          <strong>{tag}</strong>
        </a>{" "}
        {others.map((other) => (
          <span key={other.tag}>
            <a class="badge alias" href={referencePath(name, other.tag)}>
              {other.tag}
            </a>{" "}
          </span>
        ))}
        {kind !== undefined && kind !== "image" && kind !== "index" && <Kinds kinds={[kind]} />}
      </td>
      <td title={platforms.join(", ")}>
        {platforms.slice(0, maxPlatforms).map((platform) => (
          <span key={platform} class="platform">
            {platform}
          </span>
        ))}
        {platforms.length > maxPlatforms && (
          <span class="faint">{words.tags.morePlatforms(platforms.length - maxPlatforms)}</span>
        )}
      </td>
      <td class="number" data-label={words.tags.size}>
        {imageSize === undefined ? "–" : formatBytes(imageSize)}
      </td>
      <td>
        <Attached referrers={referrers} />
      </td>
      <td data-label={words.tags.used}>
        <Ago time={lastUsed} />
      </td>
      <td data-label={words.tags.pushed}>
        <Ago time={updatedAt} />
        {updatedBy !== undefined && <span class="faint"> {words.by(updatedBy)}</span>}
      </td>
    </tr>
  );
}

/** Kinds of what is attached, in the order in which they are shown. */
const attachedKinds = ["signature", "sbom", "provenance", "attestation", "artifact"];

function Attached({ referrers }: { referrers: Record<string, number> }) {
  const words = messages();
  return (
    <div class="badges">
      {attachedKinds
        .filter((kind) => referrers[kind] !== undefined)
        .map((kind) => (
          <Badge key={kind} tone={`kind-${kind}`}>
            {kind === "signature" ? words.tags.signed : words.kinds[kind]}
          </Badge>
        ))}
    </div>
  );
}

function NoTags({ name, isFiltered }: { name: string; isFiltered: boolean }) {
  const words = messages().tags;
  const { info } = useSurroundings();
  if (isFiltered) return <Empty title={words.noneMatch} />;
  return (
    <Empty title={words.none}>
      <p>{words.noneText}</p>
      <Command text={`docker push ${hostOf(info)}/${name}:v1`} />
    </Empty>
  );
}
