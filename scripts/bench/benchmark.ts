/** What one run of one side did. */
export interface Measure {
  work: number;
  wallSeconds: number;
  /** Of the process that the benchmark is about. */
  cpuSeconds: number;
}

export interface Benchmark {
  name: string;
  unit: string;
  /** Whose CPU is counted. */
  cpuOf: string;
  tactic: { label: string; run: () => Promise<Measure> };
  control: { label: string; run: () => Promise<Measure> };
  stop: () => Promise<void>;
}
