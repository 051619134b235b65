/** Names with their values, below a heading. */

/** The pairs; nothing if there are none. */
export function Pairs({ title, pairs }: { title: string; pairs: readonly (readonly [string, string])[] }) {
  if (pairs.length === 0) return null;
  return (
    <section>
      <h2>{title}</h2>
      <dl class="pairs">
        {pairs.map(([key, value], index) => (
          <div key={`${key}${index}`}>
            <dt>{key}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
