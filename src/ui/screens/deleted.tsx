/** What was deleted and can come back: what, who did it, and until when. */
import { useState } from "preact/hooks";
import { type Answer, addressOf, send } from "../api.ts";
import { useAction, usePages } from "../data.ts";
import { formatBytes, formatDuration, formatTime } from "../format.ts";
import { messages } from "../language.ts";
import { Ago, Badge, Digest, Empty, Failed, Loading, More, useTitle } from "../parts/basics.tsx";
import { repositoryPath } from "../paths.ts";
import { useSurroundings } from "../session.ts";

type Deletion = Answer<"/deleted">["repositories"][number]["deleted"][number];

/** The screen. */
export function DeletedScreen() {
  const words = messages().deleted;
  const { info } = useSurroundings();
  const pages = usePages<"/deleted">(addressOf("/deleted", {}, { n: 200 }));
  const { run, isBusy, error } = useAction();
  const [restored, setRestored] = useState<Record<string, true>>({});
  useTitle(words.title);
  const duration = formatDuration(info.graceSeconds);
  const restore = async (name: string, deletion: Deletion) => {
    if (await run(() => restoreIn(name, deletion))) {
      setRestored((before) => ({ ...before, [keyOf(name, deletion)]: true }));
    }
  };
  if (pages.error !== undefined) return <Failed error={pages.error} retry={pages.reload} />;
  const repositories = pages.data?.flatMap((page) => page.repositories);
  if (repositories === undefined) return <Loading />;
  return (
    <>
      <h1>{words.title}</h1>
      {repositories.length === 0 ? (
        <Empty title={words.none}>
          <p>{words.noneText(duration)}</p>
        </Empty>
      ) : (
        <p class="faint">{words.text}</p>
      )}
      {error !== undefined && <Failed error={error} />}
      {repositories.map(({ name, deleted, more }) => (
        <section key={name}>
          <h2>
            <a href={repositoryPath(name)}>{name}</a>
          </h2>
          <table class="list">
            <thead>
              <tr>
                <th>{words.what}</th>
                <th>{words.tags}</th>
                <th>{words.deleted}</th>
                <th>{words.until}</th>
                <td />
              </tr>
            </thead>
            <tbody>
              {deleted.map((deletion) => (
                <Row
                  key={keyOf(name, deletion)}
                  deletion={deletion}
                  isRestored={restored[keyOf(name, deletion)] === true}
                  isBusy={isBusy}
                  restore={() => restore(name, deletion)}
                />
              ))}
            </tbody>
          </table>
          {more && <p class="faint">{words.more}</p>}
        </section>
      ))}
      <More more={pages.more} isLoading={pages.isLoading} />
    </>
  );
}

function keyOf(name: string, { what, generation, digest, tag }: Deletion): string {
  return [name, what, generation, digest, tag].join(" ");
}

/** Restores a repository, a manifest or a tag. */
function restoreIn(name: string, { what, generation, digest = "", tag = "" }: Deletion): Promise<unknown> {
  switch (what) {
    case "repository": {
      const body = generation === undefined ? {} : { generation };
      return send("POST", "/repositories/{name}/restore", { params: { name }, body });
    }
    case "manifest":
      return send("POST", "/repositories/{name}/manifests/{digest}/restore", { params: { name, digest } });
    case "tag":
      return send("POST", "/repositories/{name}/tags/{tag}/restore", {
        params: { name, tag },
        body: { digest },
      });
  }
}

function Row(props: { deletion: Deletion; isRestored: boolean; isBusy: boolean; restore: () => void }) {
  const { deletion, isRestored, isBusy, restore } = props;
  const { deleted: words, by } = messages();
  const { what, digest, size, tags = [], tag, deletedAt, actor, until } = deletion;
  const names = tag === undefined ? tags : [tag];
  return (
    <tr>
      <td class="main">
        {words.kinds[what]} {digest !== undefined && <Digest digest={digest} />}{" "}
        {size !== undefined && <span class="faint">{formatBytes(size)}</span>}
      </td>
      <td>
        {names.map((each) => (
          <Badge key={each}>{each}</Badge>
        ))}
      </td>
      <td data-label={words.deleted}>
        <Ago time={deletedAt} /> {actor !== "" && <span class="faint">{by(actor)}</span>}
      </td>
      <td data-label={words.until}>{formatTime(until)}</td>
      <td class="number">
        {isRestored ? (
          <span role="status">{words.restored}</span>
        ) : (
          <button type="button" disabled={isBusy} onClick={restore}>
            {words.restore}
          </button>
        )}
      </td>
    </tr>
  );
}
