/** Manifests that nothing leads to. */
import { addressOf } from "../api.ts";
import { usePages } from "../data.ts";
import { formatBytes } from "../format.ts";
import { messages } from "../language.ts";
import { Ago, Digest, Empty, Failed, Kinds, Loading, More } from "../parts/basics.tsx";
import { referencePath } from "../paths.ts";

/** The tab. */
export function UntaggedTab({ name }: { name: string }) {
  const words = messages();
  const pages = usePages<"/repositories/{name}/untagged">(
    addressOf("/repositories/{name}/untagged", { name }, { n: 100 }),
  );
  const manifests = pages.data?.flatMap((page) => page.manifests);
  if (pages.error !== undefined) return <Failed error={pages.error} retry={pages.reload} />;
  if (manifests === undefined) return <Loading />;
  if (manifests.length === 0) return <Empty title={words.untagged.none} />;
  return (
    <>
      <p class="faint">{words.untagged.text}</p>
      <table class="list">
        <thead>
          <tr>
            <th>{words.manifest.digest}</th>
            <th>{words.repositories.kinds}</th>
            <th class="number">{words.tags.size}</th>
            <th>{words.tags.used}</th>
            <th>{words.tags.pushed}</th>
          </tr>
        </thead>
        <tbody>
          {manifests.map(({ digest, kind, imageSize, lastUsed, pushedAt, pushedBy }) => (
            <tr key={digest}>
              <td class="main">
                <Digest digest={digest} href={referencePath(name, digest)} />
              </td>
              <td>{kind !== undefined && <Kinds kinds={[kind]} />}</td>
              <td class="number" data-label={words.tags.size}>
                {imageSize === undefined ? "–" : formatBytes(imageSize)}
              </td>
              <td data-label={words.tags.used}>
                <Ago time={lastUsed} />
              </td>
              <td data-label={words.tags.pushed}>
                <Ago time={pushedAt} />
                {pushedBy !== undefined && <span class="faint"> {words.by(pushedBy)}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <More more={pages.more} isLoading={pages.isLoading} />
    </>
  );
}
