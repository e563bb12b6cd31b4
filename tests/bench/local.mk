# make bench [BENCH_ROUNDS=5] [BENCH_REQUESTS=50000] [BENCH_KILLS=20] [BENCH_BIG_MIB=1024] [BENCH_SECONDS=2]
# [BENCH_SUBSCRIBERS=1000] [BENCH_MESSAGES=1000] [BENCH_ONLY=start,rest,throughput,proxy,web,subscribers,failover]
EXTRA_DIST += tests/bench/bench.py tests/bench/measure.py tests/bench/takeover.py tests/bench/throughput.py tests/bench/web.py tests/bench/run.sh

.PHONY: bench
bench: holdfast$(EXEEXT)
	HOLDFAST=$(abs_top_builddir)/holdfast$(EXEEXT) $(SHELL) $(srcdir)/tests/bench/run.sh
