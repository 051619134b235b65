/** What was deleted and can come back. */
import { useState } from "preact/hooks";
import { addressOf, send } from "../api.ts";
import { useAction, usePages } from "../data.ts";
import { formatBytes, formatDuration } from "../format.ts";
import { messages } from "../language.ts";
import { Badge, Digest, Empty, Failed, Loading, More, useTitle } from "../parts/basics.tsx";
import { referencePath, repositoryPath } from "../paths.ts";
import { useSurroundings } from "../session.ts";

/** The screen. */
export function DeletedScreen() {
  const words = messages().deleted;
  const { info } = useSurroundings();
  const pages = usePages<"/restorable">(addressOf("/restorable", {}, { n: 200 }));
  const { run, isBusy, error } = useAction();
  const [restored, setRestored] = useState<Record<string, true>>({});
  useTitle(words.title);
  const duration = formatDuration(info?.graceSeconds ?? 0);
  const restore = async (name: string, digest: string) => {
    const params = { name, digest };
    const isDone = await run(() =>
      send("POST", "/repositories/{name}/manifests/{digest}/restore", { params }),
    );
    if (isDone) setRestored((before) => ({ ...before, [`${name}@${digest}`]: true }));
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
        <p class="faint">{words.text(duration)}</p>
      )}
      {error !== undefined && <Failed error={error} />}
      {repositories.map(({ name, count, manifests }) => (
        <section key={name}>
          <h2>
            <a href={repositoryPath(name)}>{name}</a> <span class="faint">{words.count(count)}</span>
          </h2>
          <table class="list">
            <thead>
              <tr>
                <th>{words.manifest}</th>
                <th>{words.tags}</th>
                <th class="number">{words.size}</th>
                <td />
              </tr>
            </thead>
            <tbody>
              {manifests.map(({ digest, tags, size }) => (
                <tr key={digest}>
                  <td class="main">
                    {restored[`${name}@${digest}`] ? (
                      <Digest digest={digest} href={referencePath(name, digest)} />
                    ) : (
                      <Digest digest={digest} />
                    )}
                  </td>
                  <td>
                    {tags.map((tag) => (
                      <Badge key={tag}>{tag}</Badge>
                    ))}
                  </td>
                  <td class="number" data-label={words.size}>
                    {formatBytes(size)}
                  </td>
                  <td class="number">
                    {restored[`${name}@${digest}`] ? (
                      <span role="status">{words.restored}</span>
                    ) : (
                      <button type="button" disabled={isBusy} onClick={() => restore(name, digest)}>
                        {words.restore}
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {count > manifests.length && <p class="faint">{words.more(count - manifests.length)}</p>}
        </section>
      ))}
      <More more={pages.more} isLoading={pages.isLoading} />
    </>
  );
}
