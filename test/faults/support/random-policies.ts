/** Random sequences of steps about policies: tags that must stay, and tags that retention removes and somebody restores. */
import fc from "fast-check";
import { documents } from "./policy-documents.ts";
import { type FaultTarget, type PolicyStep, repositoryCount, type Step, tagCount } from "./program.ts";
import { faultOf } from "./random-faults.ts";
import { at, manifest, manifestCount, pushImageStep, tagPull, way, writeStep } from "./random-steps.ts";

const repository = fc.constantFrom(0, 0, 0, repositoryCount - 1);
const tag = fc.nat(tagCount - 1);
const document = fc.nat(documents.length - 1);
/** Those by which tags go. */
const removing = fc.constantFrom(2, 3, 4);
/** Those by which tag 0 stays as it is. */
const binding = fc.constantFrom(1, 3, 4);

/** Something about policies. */
export const policyStep: fc.Arbitrary<PolicyStep> = fc.oneof(
  fc.record({ do: fc.constant("put policies" as const), at, document }),
  fc.record({ do: fc.constant("confirm run" as const), at, repository }),
  fc.record({
    do: fc.constantFrom("hold tag" as const, "release tag" as const, "restore tag" as const),
    at,
    repository,
    tag,
  }),
  fc.record({ do: fc.constant("restore manifest" as const), at, repository, manifest }),
);

const ofPolicies: FaultTarget[] = ["LEDGERS", "LEDGERS", "CATALOG", "kv.put", "kv.delete"];

/** More than the time between two runs of retention. */
const runAlarms: Step[] = [
  { do: "advance", seconds: 910 },
  { do: "run alarms", of: "all", how: "due" },
];

/** Images under all tags, some of which retention removes once that is confirmed; and somebody wants them back. */
export const retained: fc.Arbitrary<Step[]> = fc
  .record({
    pushes: fc.array(pushImageStep, { minLength: 1, maxLength: 3 }),
    document: removing,
    later: fc.option(document, { freq: 2 }),
    isHeld: fc.boolean(),
    isConfirmed: fc.constantFrom(true, true, true, false),
    fault: fc.option(faultOf(ofPolicies), { freq: 2 }),
    how: fc.constantFrom("due" as const, "due" as const, "twice" as const, "cut" as const),
    between: fc.array(fc.oneof(writeStep, pushImageStep), { maxLength: 1 }),
    after: fc.array(policyStep, { maxLength: 2 }),
    restored: fc.uniqueArray(tag, { minLength: 1, maxLength: tagCount }),
  })
  .map(({ pushes, document, later, isHeld, isConfirmed, fault, how, between, after, restored }) => {
    const [{ repository, at: where, tag: held } = { repository: 0, at: 0 as const, tag: 0 }] = pushes;
    const inIt = <S extends Step>(step: S): S => ("repository" in step ? { ...step, repository } : step);
    const put = (number: number): Step => ({ do: "put policies", at: where, document: number });
    const hold: Step = { do: "hold tag", at: where, repository, tag: held };
    const confirm: Step = { do: "confirm run", at: where, repository };
    const restore = restored.map((each): Step => ({ do: "restore tag", at: where, repository, tag: each }));
    return [
      put(document),
      ...pushes.map(inIt),
      ...(isHeld ? [hold] : []),
      ...runAlarms,
      ...(later === null ? [] : [put(later)]),
      ...(fault === null ? [] : [{ do: "fault", fault } as const]),
      ...(isConfirmed ? [confirm] : []),
      ...between.map(inIt),
      { do: "run alarms", of: "LEDGERS", how },
      ...runAlarms,
      ...restore,
      ...after.map(inIt),
    ];
  });

/** A run that is under way, and waits for the catalog, while others push, hold, restore, and put another document. */
export const heldRun: fc.Arbitrary<Step[]> = fc
  .record({
    pushes: fc.array(pushImageStep, { minLength: 1, maxLength: 2 }),
    document: removing,
    effect: fc.constantFrom("held" as const, "answer held" as const),
    meanwhile: fc.array(fc.oneof(writeStep, pushImageStep, policyStep), { minLength: 1, maxLength: 3 }),
    restored: tag,
  })
  .map(({ pushes, document, effect, meanwhile, restored }) => {
    const [{ repository, at: where } = { repository: 0, at: 0 as const }] = pushes;
    const inIt = <S extends Step>(step: S): S => ("repository" in step ? { ...step, repository } : step);
    return [
      { do: "put policies", at: where, document },
      ...pushes.map(inIt),
      ...runAlarms,
      { do: "confirm run", at: where, repository },
      { do: "fault", fault: { target: "CATALOG.policies", effect, skip: 0, times: 1 } },
      { do: "advance", seconds: 40 },
      { do: "run alarms", of: "LEDGERS", how: "due" },
      ...meanwhile.map(inIt),
      { do: "let go", of: "all" },
      ...runAlarms,
      { do: "restore tag", at: where, repository, tag: restored },
    ];
  });

/** Several clients that make one immutable tag at once, some with the same manifest; and who wants to move it later. */
export const contested: fc.Arbitrary<Step[]> = fc
  .record({
    at,
    repository,
    way,
    document: binding,
    rivals: fc.array(fc.record({ manifest, at }), { minLength: 2, maxLength: 4 }),
    pulls: fc.array(fc.record(tagPull), { maxLength: 2 }),
    fault: fc.option(faultOf(ofPolicies), { freq: 1 }),
    seconds: fc.constantFrom(0, 0, 45, 70),
    later: fc.array(fc.oneof(writeStep, pushImageStep), { maxLength: 2 }),
  })
  .map(({ at: where, repository, way: pushWay, document, rivals, pulls, fault, seconds, later }) => {
    const target = { repository, watched: false };
    const numbers = Array.from({ length: manifestCount }, (_, number) => number);
    const pushes = numbers.map(
      (number): Step => ({
        do: "push image",
        ...target,
        at: where,
        manifest: number,
        tag: 1,
        way: pushWay,
      }),
    );
    const inIt = <S extends { repository: number }>(step: S): S => ({
      ...step,
      repository,
      ...("tag" in step && step.tag !== null ? { tag: 0 } : {}),
    });
    return [
      { do: "put policies", at: where, document },
      { do: "advance", seconds },
      ...pushes,
      ...(fault === null ? [] : [{ do: "fault", fault } as const]),
      {
        do: "together",
        writes: rivals.map((rival) => ({ do: "put manifest", ...target, ...rival, tag: 0 })),
        pulls: pulls.map(inIt),
      },
      ...later.map(inIt),
    ];
  });
