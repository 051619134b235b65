/** A namespace whose objects all are this one. */
export function namespaceOf(object: object): { getByName: () => object } {
  return { getByName: () => object };
}
