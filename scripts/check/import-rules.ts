import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { projectRoot } from '../stack/files.ts';
import { plantedViolations } from './planted-violations.ts';

const run = promisify(execFile);
const config = join(projectRoot, '.dependency-cruiser.mjs');
const folders = ['services', 'scripts', 'loadtest', 'web'];
/** Fewer modules than this means that the tool no longer understands the sources, and would pass anything. */
const modulesMin = 50;

const cruiseReport = z.object({
  modules: z.array(z.object({ source: z.string() })),
  summary: z.object({
    violations: z.array(z.object({ from: z.string(), to: z.string(), rule: z.object({ name: z.string() }) })),
  }),
});

interface Cruise {
  ownModules: number;
  violations: { rule: string; from: string; to: string }[];
}

/** Holds the sources against the import rules, after proving that each rule finds a violation of it. */
export async function checkImportRules(): Promise<{ ok: boolean; output: string }> {
  const [found, blind] = await Promise.all([cruise(projectRoot), rulesThatFindNothing()]);
  const faults = [
    ...found.violations.map(({ rule, from, to }) => `${rule}: ${from} -> ${to}`),
    ...blind.map((rule) => `the rule ${rule} does not find the violation that was planted for it`),
    ...(found.ownModules > modulesMin
      ? []
      : [`only ${found.ownModules} modules were read; more than ${modulesMin} are demanded`]),
  ];
  return { ok: faults.length === 0, output: faults.join('\n') };
}

/** Plants one violation of each rule in a little project of its own, and names the rules that are not reported. */
async function rulesThatFindNothing(): Promise<string[]> {
  const root = mkdtempSync(join(tmpdir(), 'frontrow-import-rules-'));
  try {
    for (const [path, text] of plantedViolations.flatMap(({ files }) => Object.entries(files))) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    const { violations } = await cruise(root);
    return plantedViolations
      .filter(({ rule, at }) => !violations.some((violation) => violation.rule === rule && violation.from === at))
      .map(({ rule, at }) => `${rule} (${at})`);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function cruise(root: string): Promise<Cruise> {
  const tool = join(projectRoot, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const present = readdirSync(root).filter((name) => folders.includes(name));
  const args = [tool, ...present, '--config', config, '--output-type', 'json'];
  // With a report to give, the tool's exit code says only how many violations there are.
  const { stdout } = await run(process.execPath, args, { cwd: root, maxBuffer: 256 * 1024 * 1024 }).catch(
    reportDespiteExitCode,
  );
  const { modules, summary } = cruiseReport.parse(JSON.parse(stdout));
  return {
    ownModules: modules.filter(({ source }) => folders.includes(source.split('/', 1)[0] ?? '')).length,
    violations: summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to })),
  };
}

function reportDespiteExitCode(error: unknown): { stdout: string } {
  if (error instanceof Error && 'stdout' in error && typeof error.stdout === 'string' && error.stdout.startsWith('{')) {
    return { stdout: error.stdout };
  }
  throw error;
}
