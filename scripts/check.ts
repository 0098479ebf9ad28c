import { spawn } from 'node:child_process';
import { checkImportRules } from './check/import-rules.ts';
import { commandLine, isMain, runCommand } from './cli.ts';
import { projectRoot } from './stack/files.ts';

const usage = `Usage: npm run check

Everything that can be said of the code without running it: types (tsc), format and lint (biome), import rules
(dependency-cruiser), dead code (knip), generated documents up to date. Exits 1 when a step fails; all steps run.

  --help        this text`;

interface Verdict {
  ok: boolean;
  /** Shown when the step fails. */
  output: string;
}

const steps: readonly { name: string; run: () => Promise<Verdict> }[] = [
  { name: 'types', run: () => runTool('tsc', '--noEmit', '--project', '.') },
  { name: 'types of the k6 scenarios', run: () => runTool('tsc', '--noEmit', '--project', 'loadtest') },
  { name: 'format and lint', run: () => runTool('biome', 'ci', '--colors=off', '.') },
  { name: 'import rules', run: checkImportRules },
  { name: 'dead code', run: () => runTool('knip', '--no-progress', '--no-config-hints') },
  { name: 'generated documents', run: () => runNode('--import', 'tsx', 'scripts/generate.ts', '--check') },
];

async function main(): Promise<void> {
  commandLine(usage, {});
  const failed: string[] = [];
  for (const { name, run } of steps) {
    const startedAt = performance.now();
    const { ok, output } = await run();
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
    if (ok) continue;
    failed.push(name);
    console.log(output.trimEnd().replace(/^/gm, '    '));
  }
  if (failed.length === 0) return console.log('The check passed.');
  console.error(`The check failed: ${failed.join(', ')}.`);
  process.exitCode = 1;
}

function runTool(name: string, ...args: string[]): Promise<Verdict> {
  return runProgram(`node_modules/.bin/${name}`, args);
}

function runNode(...args: string[]): Promise<Verdict> {
  return runProgram(process.execPath, args);
}

function runProgram(program: string, args: readonly string[]): Promise<Verdict> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: projectRoot,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    });
    let output = '';
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.once('error', (error) => resolve({ ok: false, output: error.message }));
    child.once('close', (code) => resolve({ ok: code === 0, output }));
  });
}

if (isMain(import.meta.url)) await runCommand(main);
