/**
 * Redeploys when an image was pushed: a listener for webhooks of Stowage. Node, and nothing else.
 *
 * WEBHOOK_SECRET=… REGISTRY=registry.example.org node listen.mjs COMMAND [ARGUMENT…]
 *
 * The command runs once for each push of a tag, one after the other, with IMAGE, REPOSITORY, TAG and DIGEST in its
 * environment. IMAGE begins with REGISTRY, the host and port to pull from: whatever an event says of it, the listener
 * pulls from nowhere else. PORT is where to listen (8090), HOST on which address (127.0.0.1).
 */
import { spawn } from "node:child_process";
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const {
  WEBHOOK_SECRET: secret = "",
  REGISTRY: registry = "",
  PORT: port = "8090",
  HOST: host = "127.0.0.1",
} = process.env;
const [command, ...args] = process.argv.slice(2);
const maxBytes = 1024 * 1024;
const maxAgeSeconds = 300;
const remembered = 10_000;

if (secret === "" || registry === "" || command === undefined) {
  console.error("usage: WEBHOOK_SECRET=… REGISTRY=host:port node listen.mjs COMMAND [ARGUMENT…]");
  process.exit(2);
}

/** Whether a body was signed with the secret, and lately: what is older was recorded and is played again. */
function isSigned(body, header = "") {
  const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header) ?? [];
  if (signature === undefined || Math.abs(Date.now() / 1000 - Number(time)) > maxAgeSeconds) return false;
  const expected = createHmac("sha256", secret).update(`${time}.`).update(body).digest();
  return timingSafeEqual(expected, Buffer.from(signature, "hex"));
}

async function readBody(request) {
  const pieces = [];
  let bytes = 0;
  for await (const piece of request) {
    bytes += piece.length;
    if (bytes > maxBytes) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/**
 * What became of each event, by its id. The same one may come again, with the same id, also while it is being deployed:
 * the registry does not wait longer than WEBHOOK_TIMEOUT for an answer.
 */
const deployments = new Map();
let last = Promise.resolve();

function deploy({ target }) {
  const { repository, tag, digest } = target;
  // By digest: the tag may have moved on by the time that the command pulls.
  const image = `${registry}/${repository}@${digest}`;
  const env = { ...process.env, IMAGE: image, REPOSITORY: repository, TAG: tag, DIGEST: digest };
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: "inherit" });
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`it exited with ${code}`))));
  });
}

/** Resolves when what an event asks for is deployed; one that failed is tried anew when it comes again. */
function handle(event) {
  const isPushOfTag = event.action === "push" && event.target.tag !== undefined;
  if (!isPushOfTag) return undefined;
  const known = deployments.get(event.id);
  if (known !== undefined) return known;
  const deployment = last.then(() => deploy(event));
  deployments.set(event.id, deployment);
  if (deployments.size > remembered) deployments.delete(deployments.keys().next().value);
  last = deployment.catch(() => deployments.delete(event.id));
  return deployment;
}

const server = createServer(async (request, response) => {
  const body = await readBody(request).catch(() => undefined);
  if (body === undefined) return response.writeHead(413).end();
  if (!isSigned(body, request.headers["stowage-signature"])) return response.writeHead(401).end();
  try {
    for (const event of JSON.parse(body).events) await handle(event);
    response.writeHead(204).end();
  } catch (error) {
    // The registry sends it again, later and later, for a day.
    console.error(`not deployed: ${error.message}`);
    response.writeHead(500).end("not deployed");
  }
});

server.listen(Number(port), host, () => console.log(`listening on ${host}:${server.address().port}`));
