// Imported before the fuzz tests it makes them run a million cases; FUZZ_SCALE says another multiple of the usual ones.
process.env.FUZZ_SCALE ??= '65';
