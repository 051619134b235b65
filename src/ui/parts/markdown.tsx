/**
 * Markdown as elements of the page. The library only reads it: no HTML is ever made from a text, so nothing that
 * somebody wrote can become markup. HTML in Markdown is shown as it was written.
 */
import { Lexer, type Token, type Tokens } from "marked";
import type { ComponentChildren, VNode } from "preact";

/** A text in Markdown. */
export function Markdown({ text }: { text: string }) {
  return <div class="markdown">{blocks(Lexer.lex(text))}</div>;
}

/** An address that a link may lead to; `undefined` for scripts and the like. */
function safeAddress(address: string): string | undefined {
  return /^(?:https?:\/\/|mailto:)/i.test(address) ? address : undefined;
}

function blocks(tokens: readonly Token[] | undefined): ComponentChildren {
  return tokens?.map((token, index) => <Block key={index} token={token} />);
}

function Block({ token }: { token: Token }): ComponentChildren {
  switch (token.type) {
    case "heading": {
      // The page has a heading of its own above.
      const Heading = `h${Math.min((token as Tokens.Heading).depth + 2, 6)}` as "h3";
      return <Heading>{inlines(token.tokens)}</Heading>;
    }
    case "paragraph":
      return <p>{inlines(token.tokens)}</p>;
    case "code":
      return (
        <pre tabIndex={0}>
          <code>{token.text}</code>
        </pre>
      );
    case "blockquote":
      return <blockquote>{blocks(token.tokens)}</blockquote>;
    case "hr":
      return <hr />;
    case "list":
      return <List list={token as Tokens.List} />;
    case "table":
      return <Table table={token as Tokens.Table} />;
    case "space":
    case "def":
      return null;
    case "text":
      return <span>{token.tokens === undefined ? token.text : inlines(token.tokens)}</span>;
    default:
      return <p>{token.raw}</p>;
  }
}

function List({ list }: { list: Tokens.List }): VNode {
  const items = list.items.map((item, index) => <li key={index}>{blocks(item.tokens)}</li>);
  return list.ordered ? <ol start={Number(list.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ table }: { table: Tokens.Table }): VNode {
  return (
    <div class="scroll" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {table.header.map((cell, index) => (
              <th key={index}>{inlines(cell.tokens)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column}>{inlines(cell.tokens)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function inlines(tokens: readonly Token[] | undefined): ComponentChildren {
  return tokens?.map((token, index) => <Inline key={index} token={token} />);
}

function Inline({ token }: { token: Token }): ComponentChildren {
  switch (token.type) {
    case "strong":
      return <strong>{inlines(token.tokens)}</strong>;
    case "em":
      return <em>{inlines(token.tokens)}</em>;
    case "del":
      return <del>{inlines(token.tokens)}</del>;
    case "codespan":
      return <code>{token.text}</code>;
    case "br":
      return <br />;
    case "link": {
      const href = safeAddress(token.href);
      if (href === undefined) return <span>{inlines(token.tokens)}</span>;
      return (
        <a href={href} rel="noopener noreferrer nofollow" target="_blank">
          {inlines(token.tokens)}
        </a>
      );
    }
    // Images of other hosts would tell them who reads this.
    case "image":
      return <span>{token.text}</span>;
    case "text":
      return token.tokens === undefined ? withoutEntities(token.text) : inlines(token.tokens);
    case "escape":
      return token.text;
    default:
      return token.raw;
  }
}

const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };

function withoutEntities(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => entities[name] ?? "");
}
