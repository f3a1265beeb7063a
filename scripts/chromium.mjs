// Unpacks Chromium from npm for browser tests and pictures, so that a Linux machine needs no installed browser.
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { inflate } from '@sparticuz/chromium';
import { root, run } from './tools.mjs';

const source = path.join(root, 'node_modules', '@sparticuz', 'chromium');
/** The package of Chromium contains glyphs of European languages only. */
const japaneseFont = path.join(root, 'node_modules', '@expo-google-fonts', 'sawarabi-gothic');

/**
 * Environment variables for `test/support/browser.ts`: `CHROMIUM_PATH`, `FONTCONFIG_PATH`, and `CHROMIUM_LIBRARIES`,
 * which becomes `LD_LIBRARY_PATH` of the browser only. Empty if the user sets `CHROMIUM_PATH`, or npm has no Chromium
 * for this platform. If Chromium does not start, only `NO_CHROMIUM`, with the reason.
 */
export async function chromiumEnvironment() {
  if (process.env.CHROMIUM_PATH) return {};
  if (process.platform !== 'linux' || process.arch !== 'x64') return {};
  const folder = await unpack();
  const file = path.join(folder, 'chromium');
  const libraries = path.join(folder, 'al2023', 'lib');
  const problem = await startProblem(file, libraries);
  if (problem !== null) return { NO_CHROMIUM: `the Chromium from npm ${problem}` };
  const fonts = path.join(folder, 'fonts');
  await writeFontsConf(fonts);
  return {
    CHROMIUM_PATH: file,
    FONTCONFIG_PATH: fonts,
    CHROMIUM_LIBRARIES: libraries,
  };
}

/**
 * Unpacks each version once, and removes others. The folder is renamed when complete, since two `npm test` may run at
 * once.
 */
async function unpack() {
  const { version } = JSON.parse(await readFile(path.join(source, 'package.json'), 'utf8'));
  const folder = path.join(root, '.test', 'chromium', version);
  if (existsSync(folder)) return folder;
  const partial = `${folder}.${process.pid}`;
  await mkdir(partial, { recursive: true });
  // `inflate` unpacks into the folder for temporary files, and treats an existing file there as complete.
  const before = process.env.TMPDIR;
  process.env.TMPDIR = partial;
  try {
    const names = ['chromium.br', 'al2023.tar.br', 'fonts.tar.br', 'swiftshader.tar.br'];
    await Promise.all(names.map((name) => inflate(path.join(source, 'bin', name))));
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
  await rename(partial, folder).catch((error) => {
    if (!existsSync(folder)) throw error;
  });
  const isOther = (name) => name === path.basename(partial) || !name.startsWith(version);
  const others = (await readdir(path.dirname(folder))).filter(isOther);
  await Promise.all(
    others.map((name) => rm(path.join(folder, '..', name), { recursive: true, force: true })),
  );
  return folder;
}

/**
 * Configures the fonts of the package, the Japanese one, and those of the machine. Without an existing folder all text
 * would have no width, so the file is written at each start, in case the clone was moved.
 */
async function writeFontsConf(folder) {
  const conf = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>${path.join(folder, 'fonts')}</dir>
  <dir>${japaneseFont}</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${path.join(folder, 'cache')}</cachedir>
</fontconfig>
`;
  const draft = path.join(folder, `fonts.conf.${process.pid}`);
  await writeFile(draft, conf);
  await rename(draft, path.join(folder, 'fonts.conf'));
}

/**
 * Why Chromium does not start here, such as a missing library; null if it starts. Pages over https also need
 * libsqlite3.so.0, which Debian's smallest installation lacks, but no test opens such a page.
 */
async function startProblem(file, libraries) {
  const { code, output } = await run(file, ['--version'], { env: { LD_LIBRARY_PATH: libraries } }).catch(
    (error) => ({ code: 1, output: error.message }),
  );
  if (code === 0) return null;
  const [, library] = /loading shared libraries: (\S+):/.exec(output) ?? [];
  return library === undefined ? `does not start (${output.trim()})` : `needs the library ${library}`;
}
