// npm run prose: checks the English words of documentation, help, forms, messages and examples with textlint, by the
// rules of .textlintrc.json: spelling of terms, the glossary's retired words, and the length of sentences.
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createLinter, loadLinterFormatter, loadTextlintrc } from 'textlint';
import { root } from './tools.mjs';

/** Texts in JSON: the keys whose values are prose, and whether they are Markdown. */
const inJson = [
  { files: 'nodes/*/locales/en-US/*.json', keys: String.raw`\w+`, type: 'txt' },
  { files: 'examples/*.json', keys: 'info|label|name', type: 'md' },
];

/** The prose of JSON, and the line of the file for each line of it. */
function proseIn(json, keys) {
  const value = new RegExp(`^\\s*"(?:${keys})": (".*"),?$`);
  const lines = json.split('\n').flatMap((line, at) => {
    const found = value.exec(line);
    const texts = found === null ? [] : [...JSON.parse(found[1]).split('\n'), ''];
    return texts.map((text) => ({ text, number: at + 1 }));
  });
  return { text: lines.map(({ text }) => text).join('\n'), numbers: lines.map(({ number }) => number) };
}

async function lintJson(linter, file, keys, type) {
  const { text, numbers } = proseIn(await readFile(path.join(root, file), 'utf8'), keys);
  const { messages } = await linter.lintText(text, `${file}.${type}`);
  return {
    filePath: path.join(root, file),
    messages: messages.map((message) => ({ ...message, line: numbers[message.line - 1] })),
  };
}

const linter = createLinter({ descriptor: await loadTextlintrc(), cwd: root });
const results = await linter.lintFiles(['*.md', 'docs/**/*.md', 'nodes/*/help/en-US.md']);
for (const { files, keys, type } of inJson)
  for (const file of globSync(files, { cwd: root })) results.push(await lintJson(linter, file, keys, type));
const faults = results.filter(({ messages }) => messages.length > 0);
if (faults.length > 0) {
  const { format } = await loadLinterFormatter({ formatterName: 'unix' });
  console.log(format(faults));
}
console.log(`${results.length} files read, ${faults.length} with faults`);
process.exitCode = faults.length > 0 ? 1 : 0;
