// Loaded by every test run: property tests get arrays and texts as long as they say, not the ten that are the default.
import fc from 'fast-check';

fc.configureGlobal({ defaultSizeToMaxWhenMaxSpecified: true });
