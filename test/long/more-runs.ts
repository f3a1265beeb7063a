// Imported before tests it makes them larger; PROPERTY_RUNS says another number of runs (150 is the usual).
process.env.PROPERTY_RUNS ??= '1500';
process.env.LARGE_MESSAGE ??= '250000';
process.env.LARGE_BACKLOG ??= '100000';
