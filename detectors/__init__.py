"""Pure mathematics: columns and the time in, findings out. No clock, no network, no package of ours."""
