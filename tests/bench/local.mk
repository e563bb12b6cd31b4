# make bench [BENCH_ROUNDS=5] [BENCH_REQUESTS=50000] [BENCH_ONLY=start,rest,throughput,failover]
EXTRA_DIST += tests/bench/bench.py tests/bench/run.sh

.PHONY: bench
bench: holdfast$(EXEEXT)
	HOLDFAST=$(abs_top_builddir)/holdfast$(EXEEXT) $(SHELL) $(srcdir)/tests/bench/run.sh
