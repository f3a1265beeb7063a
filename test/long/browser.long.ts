// Each language, the details of the forms and a new user in the editor of each version; `npm test` takes one of each.
import { createRequire } from 'node:module';

process.env.EACH_LANGUAGE = '1';
process.env.EACH_VERSION = '1';
const load = createRequire(__filename);
for (const name of ['languages', 'details', 'new-user']) load(`../browser/${name}.test`);
