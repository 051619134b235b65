export default { fetch: () => new Response("placeholder\n") };
export { DurableObject as Repository, DurableObject as Upload, DurableObject as Blobs, DurableObject as Catalog } from "cloudflare:workers";
