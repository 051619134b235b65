/** The runs of retention that wait until somebody confirms them, in all repositories. */
import { addressOf } from "../api.ts";
import { usePages } from "../data.ts";
import { messages } from "../language.ts";
import { Empty, Failed, Loading, More, useTitle } from "../parts/basics.tsx";
import { repositoryPath } from "../paths.ts";
import { WaitingRun } from "./rules.tsx";

/** The screen. */
export function WaitingScreen() {
  const words = messages().waiting;
  const pages = usePages<"/policies/waiting">(addressOf("/policies/waiting", {}, { n: 200 }));
  useTitle(words.title);
  if (pages.error !== undefined) return <Failed error={pages.error} retry={pages.reload} />;
  const runs = pages.data?.flatMap((page) => page.runs);
  if (runs === undefined) return <Loading />;
  return (
    <>
      <h1>{words.title}</h1>
      {runs.length === 0 ? (
        <Empty title={words.none}>
          <p>{words.noneText}</p>
        </Empty>
      ) : (
        <p class="faint">{words.text}</p>
      )}
      {runs.map(({ repository, ...run }) => (
        <section key={repository}>
          <h2>
            <a href={repositoryPath(repository, "rules")}>{repository}</a>
          </h2>
          <WaitingRun name={repository} run={run} mayConfirm done={pages.reload} />
        </section>
      ))}
      <More more={pages.more} isLoading={pages.isLoading} />
    </>
  );
}
