// Bundles src/ into the Python package: one script and one style sheet for all pages, and what a
// single page has of its own, named by their content; manifest.json tells the pages those names.
import { chmod, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "src", "ums", "console", "static");

// Built aside and moved into place, so that a page never finds half a bundle.
const aside = await mkdtemp(`${target}.`);
try {
  const result = await build({
    absWorkingDir: here,
    entryPoints: ["src/app.ts", "src/editor.ts", "src/app.css", "src/reference.css"],
    outdir: aside,
    bundle: true,
    minify: true,
    format: "esm",
    target: ["es2022"],
    entryNames: "[name]-[hash]",
    metafile: true,
    logLevel: "warning",
  });
  await writeFile(join(aside, "manifest.json"), manifest(result.metafile.outputs));
  await chmod(aside, 0o755); // mkdtemp keeps it to ourselves
  await rm(target, { recursive: true, force: true });
  await rename(aside, target);
} finally {
  await rm(aside, { recursive: true, force: true });
}
console.log(`bundled into ${relative(process.cwd(), target)}`);

function manifest(outputs) {
  const names = {};
  for (const [path, output] of Object.entries(outputs)) {
    if (output.entryPoint) {
      names[basename(output.entryPoint).replace(/\.ts$/, ".js")] = basename(path);
    }
  }
  return `${JSON.stringify(names, null, 2)}\n`;
}
