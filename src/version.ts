/**
 * The release that this is, for the Worker and both programs. Written here, as no bundler takes one field out of
 * package.json in a way that Node and Deno read as well; a test holds the two together.
 */
export const version = "0.1.0";
