/** Bugs of the reverse proxy: heads, bodies, answers and files. */
import { bug, type TestedBug } from "./tested-bug.ts";

const head = "src/local/proxy/request-head.ts";

export const ofProxy: Record<string, TestedBug> = {
  "a client says its own address": bug(
    "test/local/proxy/protocol.test.ts",
    "passes on what it has understood, in its own words",
    head,
    "  addressHeader.toLowerCase(),\n",
    "",
  ),
  "a client's own secret is passed on": bug(
    "test/local/proxy/protocol.test.ts",
    "passes on what it has understood, in its own words",
    head,
    "  secretHeader.toLowerCase(),\n",
    "",
  ),
  "of two encodings the last one counts alone": bug(
    "test/local/proxy/protocol.test.ts",
    "refuses what is malformed or of two meanings, and passes none of it on",
    head,
    "encoding = encoding === undefined ? value :",
    "encoding = encoding !== null ? value :",
  ),
  "HTTP/1.0 over IPv6 gets a host that is none": bug(
    "test/unit/request-head.test.ts",
    "HTTP/1.0 without a host means the address that it came to",
    "src/local/proxy/request-head.ts",
    'address.includes(":") ? ',
    'address.includes("/") ? ',
  ),
  "an address of IPv6 is cut": bug(
    "test/unit/request-head.test.ts",
    "an address of IPv4 in the form of IPv6 is written as one of IPv4, and no other is changed",
    "src/local/proxy/client-address.ts",
    ' && address.includes(".")',
    "",
  ),
  "bytes after an answer are left for the next one": bug(
    "test/local/proxy/trouble.test.ts",
    "an interim answer is not passed on, and a connection with more than an answer serves no other",
    "src/local/proxy/answer-parser.ts",
    'if (receiver === undefined || this.#state === "done") throw new AnswerError("an answer to nothing");',
    'if (receiver === undefined || this.#state === "done") return;',
  ),
  "an interim answer is taken for the answer": bug(
    "test/local/proxy/trouble.test.ts",
    "an interim answer is not passed on, and a connection with more than an answer serves no other",
    "src/local/proxy/answer-parser.ts",
    "    if (head.status < 200) return;\n",
    "",
  ),
  "a head of any size is read": bug(
    "test/local/proxy/trouble.test.ts",
    "what is no answer of HTTP is 503 before its head, and breaks the connection off after it",
    "src/local/proxy/answer-parser.ts",
    '      if (this.#text.length > mostHeadBytes) throw new AnswerError("a head that does not end");\n',
    "",
  ),
  "a line between chunks of any size is read": bug(
    "test/local/proxy/trouble.test.ts",
    "what is no answer of HTTP is 503 before its head, and breaks the connection off after it",
    "src/local/proxy/answer-parser.ts",
    '    if (this.#text.length > mostHeadBytes) throw new AnswerError("a line that does not end");\n',
    "",
  ),
  "an answer without a length is taken for an empty one": bug(
    "test/local/proxy/trouble.test.ts",
    "what is no answer of HTTP is 503 before its head, and breaks the connection off after it",
    "src/local/proxy/answer-parser.ts",
    '    if (!hasNone && !isChunked && head.length === undefined) throw new AnswerError("a body without an end");\n',
    "",
  ),
  "a chunk without a size is the last one": bug(
    "test/local/proxy/trouble.test.ts",
    "what is no answer of HTTP is 503 before its head, and breaks the connection off after it",
    "src/local/proxy/answer-parser.ts",
    '      if (size === undefined) throw new AnswerError("a chunk without a size");\n      this.#left = Number.parseInt(size, 16);',
    '      this.#left = Number.parseInt(size ?? "0", 16);',
  ),
  "a deletion is sent to workerd twice": bug(
    "test/local/proxy/trouble.test.ts",
    "a request that workerd never saw goes to a new connection, unless that could do it twice",
    "src/local/proxy/proxied-request.ts",
    'head.framing === "none" && safeMethods.has(this.#method)',
    'head.framing === "none"',
  ),
  "a request is repeated without its body": bug(
    "test/local/proxy/trouble.test.ts",
    "a request that workerd never saw goes to a new connection, unless that could do it twice",
    "src/local/proxy/proxied-request.ts",
    'head.framing === "none" && safeMethods.has(this.#method)',
    "safeMethods.has(this.#method)",
  ),
};
