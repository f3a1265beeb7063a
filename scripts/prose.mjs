// npm run prose: checks the English words of documentation, help, forms, messages and examples with textlint, by the
// rules of .textlintrc.json: spelling of terms, the glossary's retired words, and the length of sentences.
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createLinter, loadLinterFormatter, loadTextlintrc } from 'textlint';
import { root } from './tools.mjs';

/** Files of text in JSON, the keys whose values are prose, and what kind of text they are. */
const inJson = [
  { files: 'nodes/*/locales/en-US/*.json', keys: String.raw`\w+`, type: 'txt' },
  { files: 'examples/*.json', keys: 'info|label|name', type: 'md' },
];

/** The text of JSON: a paragraph in each line that has a value, so that line numbers stay. Without indented code. */
function textOf(json, keys) {
  const value = new RegExp(`^\\s*"(?:${keys})": (".*"),?$`);
  return json
    .split('\n')
    .map((line) => {
      const found = value.exec(line);
      return found === null
        ? ''
        : JSON.parse(found[1])
            .replaceAll(/\n {4}.*/g, '')
            .replaceAll('\n', ' ');
    })
    .join('\n');
}

const linter = createLinter({ descriptor: await loadTextlintrc(), cwd: root });
const markdown = ['*.md', 'docs/**/*.md', 'nodes/*/help/en-US.md'];
const texts = await Promise.all(
  inJson.flatMap(({ files, keys, type }) =>
    globSync(files, { cwd: root }).map(async (file) => {
      const text = textOf(await readFile(path.join(root, file), 'utf8'), keys);
      return { ...(await linter.lintText(text, `${file}.${type}`)), filePath: path.join(root, file) };
    }),
  ),
);
const results = [...(await linter.lintFiles(markdown)), ...texts];
const { format } = await loadLinterFormatter({ formatterName: 'unix' });
const faults = results.filter(({ messages }) => messages.length > 0);
if (faults.length > 0) console.log(format(faults));
console.log(`${results.length} files read, ${faults.length} with faults`);
process.exitCode = faults.length > 0 ? 1 : 0;
