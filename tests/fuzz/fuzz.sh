#!/bin/sh
# make fuzz: builds the libraries and every target with clang's fuzzer and sanitizers in ./fuzz-build, then searches
# FUZZ_SECONDS seconds with each. Arguments: the targets. New inputs are kept in fuzz-build/corpus/NAME; one that
# fails is named at the end: replay it with tests/fuzz/fuzz_NAME.replay FILE, and commit it with the fix.
set -u
: "${HF_SRCDIR:?run it with make fuzz}" "${FUZZ_SECONDS:=30}"
seconds=$FUZZ_SECONDS
if [ "${HF_CLANG:-no}" = no ]; then
	echo "make fuzz: clang is missing (Debian: clang)" >&2
	exit 1
fi
sanitize=address,undefined
mkdir -p fuzz-build && cd fuzz-build || exit 1

if [ ! -f Makefile ] || [ -n "$(find "$HF_SRCDIR/configure" -newer Makefile)" ]; then
	if [ -f "$HF_SRCDIR/config.status" ]; then
		echo "make fuzz: configure in a folder of its own (mkdir build && cd build && ../configure) first" >&2
		exit 1
	fi
	"$HF_SRCDIR/configure" -q CC="$HF_CLANG" CXX=false \
		CFLAGS="-g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,$sanitize -fno-sanitize-recover=all" \
		--disable-hardening || exit 1
fi
programs=
for target in "$@"; do
	programs="$programs $target.fuzz"
done
# one word a program
# shellcheck disable=SC2086
"${MAKE:-make}" -s fuzz_link="-fsanitize=fuzzer,$sanitize" $programs || exit 1

export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1}"
failed=
for program in "$@"; do
	target=${program##*/fuzz_}
	mkdir -p "corpus/$target" "found/$target"
	dict=
	if [ -f "$HF_SRCDIR/tests/fuzz/$target.dict" ]; then
		dict="-dict=$HF_SRCDIR/tests/fuzz/$target.dict"
	fi
	echo "== $target, $seconds s"
	# shellcheck disable=SC2086
	"$program.fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
		-artifact_prefix="found/$target/" $dict "corpus/$target" "$HF_SRCDIR/tests/fuzz/corpus/$target" \
		>"found/$target.log" 2>&1
	rc=$?
	grep -E '^(stat::number_of_executed_units|stat::new_units_added|SUMMARY|artifact_prefix)' "found/$target.log"
	if [ "$rc" -ne 0 ]; then
		tail -n 40 "found/$target.log"
		failed="$failed $target"
	fi
done
if [ -n "$failed" ]; then
	echo "fuzz: failed:$failed (inputs in fuzz-build/found)"
	exit 1
fi
echo "fuzz: $# targets clean"
