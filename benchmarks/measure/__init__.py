"""One module a benchmark: `measure(bench)` gives a Result."""
