/** What the tests use of the parser, which has no types of its own. It does not keep histograms' labels. */
declare module "parse-prometheus-text-format" {
  export type Metric = { value?: string; labels?: Record<string, string> };
  export default function parse(text: string): { name: string; type: string; metrics: Metric[] }[];
}
