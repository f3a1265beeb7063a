// Each language in the editor of each version; `npm test` takes one for each version.
import { createRequire } from 'node:module';

process.env.EACH_LANGUAGE = '1';
createRequire(__filename)('../browser/languages.test');
