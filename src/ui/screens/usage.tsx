/** What is stored, by repository, and what nobody has used for long. */
import { useState } from "preact/hooks";
import { addressOf, send } from "../api.ts";
import { useData, usePages } from "../data.ts";
import { formatBytes, formatNumber } from "../format.ts";
import { messages } from "../language.ts";
import { Ago, Empty, Failed, Loading, More, Select, useTitle } from "../parts/basics.tsx";
import { repositoryPath } from "../paths.ts";

const ages = [30, 90, 180, 365];
const dayMs = 86_400_000;

/** The screen. */
export function UsageScreen() {
  const words = messages();
  const [age, setAge] = useState("");
  const usage = useData("usage", (signal) => send("GET", "/usage", { query: { n: 1 }, signal }));
  const pages = usePages<"/search">(addressOf("/search", {}, { sort: "size", n: 200 }));
  useTitle(words.usage.title);
  const error = usage.error ?? pages.error;
  if (error !== undefined) return <Failed error={error} retry={usage.reload} />;
  const total = usage.data?.total;
  const repositories = pages.data?.flatMap((page) => page.repositories);
  if (total === undefined || repositories === undefined) return <Loading />;
  const limit = age === "" ? undefined : Date.now() - Number(age) * dayMs;
  const shown = repositories.filter((repository) => limit === undefined || lastSign(repository) < limit);
  const largest = Math.max(1, ...repositories.map(({ size }) => size));
  return (
    <>
      <h1>{words.usage.title}</h1>
      <dl class="facts">
        <Fact name={words.usage.stored} bytes={total.stored.bytes} />
        <Fact name={words.usage.logical} bytes={total.logical.bytes} />
        <Fact name={words.usage.saved} bytes={Math.max(0, total.logical.bytes - total.stored.bytes)} />
        <Fact name={words.usage.leaving} bytes={total.leaving.bytes} />
        <div>
          <dt>{words.repositories.title}</dt>
          <dd>{formatNumber(total.repositories)}</dd>
        </div>
      </dl>
      <div class="filters">
        <h2>{words.usage.largest}</h2>
        <span class="spring" />
        <Select
          label={words.usage.unused}
          value={age}
          options={[
            ["", words.usage.any],
            ...ages.map((days) => [String(days), words.usage.days(days)] as const),
          ]}
          onChange={setAge}
        />
      </div>
      {shown.length === 0 ? (
        <Empty title={repositories.length === 0 ? words.usage.none : words.usage.noneUnused} />
      ) : (
        <table class="list">
          <thead>
            <tr>
              <th>{words.repositories.name}</th>
              <th class="number">{words.repositories.size}</th>
              <th class="wide">{words.usage.share}</th>
              <th>{words.repository.lastUse}</th>
              <th>{words.repositories.pushed}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ name, size, lastUsed, pushedAt }) => (
              <tr key={name}>
                <td class="main">
                  <a href={repositoryPath(name)}>{name}</a>
                </td>
                <td class="number" data-label={words.repositories.size}>
                  {formatBytes(size)}
                </td>
                <td class="wide">
                  <div class="meter" style={{ width: `${(100 * size) / largest}%` }} />
                </td>
                <td data-label={words.repository.lastUse}>
                  {lastUsed === undefined ? words.repository.never : <Ago time={lastUsed} />}
                </td>
                <td data-label={words.repositories.pushed}>
                  <Ago time={pushedAt} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <More more={pages.more} isLoading={pages.isLoading} />
      <p class="faint">{words.usage.blobs}</p>
    </>
  );
}

/** When a repository was last used or pushed to, in milliseconds since 1970. */
function lastSign({
  lastUsed,
  pushedAt,
}: {
  lastUsed?: string | undefined;
  pushedAt?: string | undefined;
}): number {
  return Math.max(Date.parse(lastUsed ?? "1970-01-01"), Date.parse(pushedAt ?? "1970-01-01"));
}

function Fact({ name, bytes }: { name: string; bytes: number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{formatBytes(bytes)}</dd>
    </div>
  );
}
