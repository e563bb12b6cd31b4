#!/bin/sh
# The integration tests and the scenarios of tests/chaos, as `make check` runs them; arguments go to pytest:
#   tests/integration/run.sh -k failover -x        in the build folder
# HOLDFAST: the binary (default ./holdfast). HOLDFAST_TEST_JOBS: tests at a time. HOLDFAST_TEST_PORTS=LOW-HIGH.
# HOLDFAST_TEST_SKIP_INTEGRATION=1 skips them (CI's second pass over the tarball).
# HOLDFAST_TEST_LONG=1 runs those marked long, too (make check-long runs them alone).
# HOLDFAST_TEST_KEEP=1 keeps the folders of the tests. HOLDFAST_TEST_PATIENCE: factor on all bounds.
set -u
if [ -n "${HOLDFAST_TEST_SKIP_INTEGRATION:-}" ]; then
	echo "SKIP: the integration tests were switched off with HOLDFAST_TEST_SKIP_INTEGRATION"
	exit 77
fi
here=$(cd "$(dirname "$0")/.." && pwd) || exit 99
: "${HOLDFAST:=$PWD/holdfast}"
export HOLDFAST
if [ ! -x "$HOLDFAST" ]; then
	echo "holdfast: $HOLDFAST cannot be run: build first, or set HOLDFAST to the binary" >&2
	exit 99
fi
# The python that has the packages: Debian's, even where another one comes first on PATH.
for python in ${PYTHON:-} /usr/bin/python3 python3; do
	"$python" -c 'import pytest, redis' 2>/dev/null && break
	python=
done
if [ -z "$python" ]; then
	echo "the integration tests need pytest and redis-py (Debian: python3-pytest python3-redis python3-pytest-xdist)" >&2
	# skipped in a tarball, a failure where ./bootstrap check was to install them
	[ "${HF_STRICT:-0}" = 1 ] && exit 99
	exit 77
fi
# The source folder may be read-only, and belongs to the reader.
export PYTHONDONTWRITEBYTECODE=1
# Sanitizers slow everything down; the bounds of the tests, not their conditions, follow.
if [ -z "${HOLDFAST_TEST_PATIENCE:-}" ] && grep -q __asan_init "$HOLDFAST" 2>/dev/null; then
	export HOLDFAST_TEST_PATIENCE=3
fi
jobs=${HOLDFAST_TEST_JOBS:-}
if [ -z "$jobs" ]; then
	jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
	[ "$jobs" -le 4 ] || jobs=4
	# Most of a test is waiting for Sentinel's clocks, so one more than the processors.
	jobs=$((jobs + 1))
fi
if [ "$jobs" -gt 1 ] && "$python" -c 'import xdist' 2>/dev/null; then
	set -- -n "$jobs" --dist=loadgroup "$@"
fi
# Under the parallel test driver of automake stdout is a log; fd 9 is then the terminal.
report=$(mktemp) || exit 99
trap 'rm -f "$report"' EXIT
{
	"$python" -m pytest -p no:cacheprovider --strict-markers -rsfE --durations=10 \
		-c /dev/null --rootdir="$here" "$@" "$here/integration" "$here/chaos"
	echo $? >"$report.code"
} | tee "$report"
code=$(cat "$report.code")
rm -f "$report.code"
if [ -n "${HOLDFAST_TEST_TERMINAL:-}" ]; then
	sed -n '/= measured =/,$p' "$report" | grep -v '^=.*slowest' >&9 2>/dev/null
	tail -n 1 "$report" >&9 2>/dev/null
fi
exit "$code"
