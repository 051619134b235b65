/** Where one is. */
import { repositoryPath, withQuery } from "../paths.ts";

/** The name of a repository, whose folders lead to what is in them. */
export function Crumbs({ name, isHere = false }: { name: string; isHere?: boolean }) {
  const segments = name.split("/");
  const last = segments.pop() ?? "";
  const folders = segments.map((segment, index) => {
    const folder = `${segments.slice(0, index + 1).join("/")}/`;
    return (
      <span key={folder}>
        <a href={withQuery("/search", { q: folder, sort: "name" })}>{segment}</a>
        <span class="faint"> / </span>
      </span>
    );
  });
  return (
    <div class="heading">
      {isHere ? (
        <h1 class="name">
          {folders}
          {last}
        </h1>
      ) : (
        <p class="name">
          {folders}
          <a href={repositoryPath(name)}>{last}</a>
        </p>
      )}
    </div>
  );
}
