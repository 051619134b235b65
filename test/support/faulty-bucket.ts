/** R2 as it is, until it is told to fail. */

/** What can fail: a method of the bucket or of a multipart upload; before it did its work, or after. */
export type Fault = { operation: string; when: "before" | "after"; times: number };

const faults: Fault[] = [];

export function addFault(fault: Fault): void {
  faults.push(fault);
}

function takeFault(operation: string, when: Fault["when"]): boolean {
  const fault = faults.find((each) => each.operation === operation && each.when === when && each.times > 0);
  if (fault === undefined) return false;
  fault.times--;
  return true;
}

type Method = (...args: unknown[]) => unknown;

/** Wraps a bucket, or an upload of it. Its methods fail as {@link addFault} says. */
function faulty<T extends object>(target: T): T {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      const method = value.bind(target) as Method;
      const operation = String(name);
      if (operation === "resumeMultipartUpload")
        return (...args: unknown[]) => faulty(method(...args) as object);
      return async (...args: unknown[]) => {
        if (takeFault(operation, "before")) throw new Error(`${operation}: internal error (10001)`);
        const result = await method(...args);
        if (takeFault(operation, "after")) throw new Error(`${operation}: connection lost`);
        return result;
      };
    },
  });
}

const wrapped = new WeakMap<object, object>();

/** The bindings, with a bucket that can fail; the same ones each time. */
export function withFaults<E extends { BLOBS: R2Bucket }>(env: E): E {
  const known = wrapped.get(env) ?? { ...env, BLOBS: faulty(env.BLOBS) };
  wrapped.set(env, known);
  return known as E;
}
