import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type BuildOptions, build as bundle, type Plugin } from 'esbuild';
import { isMain } from './cli.ts';
import { projectRoot } from './stack/files.ts';

/** Each source that runs as a process of its own, and where its bundle goes. */
export function bundles(): { entry: string; out: string }[] {
  const processes = services().flatMap((service) =>
    ['main', 'worker'].map((name) => ({ entry: `${service}/src/${name}.ts`, out: `${service}/dist/${name}` })),
  );
  return [
    ...processes.filter(({ entry }) => existsSync(join(projectRoot, entry))),
    { entry: 'scripts/stack/origin.main.ts', out: 'scripts/dist/origin' },
  ];
}

/**
 * Bundles every service for Node, in well under a second. Files that did not change are left as they are, and the others
 * are replaced whole: a stack may be starting from them meanwhile.
 * @returns the paths that were written.
 */
export async function build(): Promise<string[]> {
  const results = await Promise.all(bundles().map(({ entry, out }) => bundle(optionsFor(entry, out))));
  const files = results.flatMap(({ outputFiles }) =>
    (outputFiles ?? []).map(({ path, contents }) => ({ path, contents })),
  );
  return [...files, ...luaFiles()].flatMap(({ path, contents }) => (writeIfChanged(path, contents) ? [path] : []));
}

function optionsFor(entry: string, out: string): BuildOptions {
  return {
    absWorkingDir: projectRoot,
    entryPoints: { [basename(out)]: entry },
    outdir: dirname(out),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    sourcemap: true,
    write: false,
    logLevel: 'warning',
    plugins: [ownPackagesInside],
  };
}

/** The project's own packages are TypeScript and go into the bundle; those from npm stay where npm put them. */
const ownPackagesInside: Plugin = {
  name: 'own-packages-inside',
  setup(builder) {
    builder.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'entry-point' || path.startsWith('@frontrow/') ? undefined : { path, external: true },
    );
  },
};

/** A script is read at run time from `lua/` beside the module that uses it: beside the bundle, when there is one. */
function luaFiles(): { path: string; contents: Buffer }[] {
  return services().flatMap((service) => {
    const source = join(projectRoot, service, 'src');
    if (!existsSync(source)) return [];
    const scripts = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.lua'));
    return scripts.map((file) => ({
      path: join(projectRoot, service, 'dist/lua', basename(file)),
      contents: readFileSync(join(source, file)),
    }));
  });
}

function services(): string[] {
  const folders = readdirSync(join(projectRoot, 'services'), { withFileTypes: true });
  return folders.filter((entry) => entry.isDirectory()).map(({ name }) => `services/${name}`);
}

function writeIfChanged(path: string, contents: Uint8Array): boolean {
  if (existsSync(path) && readFileSync(path).equals(contents)) return false;
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}.new`;
  writeFileSync(unfinished, contents);
  renameSync(unfinished, path);
  return true;
}

if (isMain(import.meta.url)) {
  const startedAt = performance.now();
  const written = await build();
  console.log(
    `${bundles().length} bundles in ${Math.round(performance.now() - startedAt)} ms, ${written.length} files changed.`,
  );
}
