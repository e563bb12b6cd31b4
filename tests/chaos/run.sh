#!/bin/sh
# The chaos runner; arguments go to it. Without any, as in `make check`: a short run of a fixed seed.
# HOLDFAST: the binary (default ./holdfast). CHAOS_SEED: the seed of the short run.
# HOLDFAST_TEST_SKIP_INTEGRATION=1 skips it, as it does the integration tests.
set -u
if [ -n "${HOLDFAST_TEST_SKIP_INTEGRATION:-}" ] && [ $# -eq 0 ]; then
	echo "SKIP: chaos was switched off with HOLDFAST_TEST_SKIP_INTEGRATION"
	exit 77
fi
here=$(cd "$(dirname "$0")" && pwd) || exit 99
: "${HOLDFAST:=$PWD/holdfast}"
export HOLDFAST PYTHONDONTWRITEBYTECODE=1
if [ ! -x "$HOLDFAST" ]; then
	echo "holdfast: $HOLDFAST cannot be run: build first, or set HOLDFAST to the binary" >&2
	exit 99
fi
for python in ${PYTHON:-} /usr/bin/python3 python3; do
	"$python" -c 'import redis' 2>/dev/null && break
	python=
done
if [ -z "$python" ]; then
	echo "chaos needs redis-py (Debian: python3-redis)" >&2
	[ "${HF_STRICT:-0}" = 1 ] && exit 99
	exit 77
fi
# Sanitizers slow everything down; the bounds, not the promises, follow.
if [ -z "${HOLDFAST_TEST_PATIENCE:-}" ] && grep -q __asan_init "$HOLDFAST" 2>/dev/null; then
	export HOLDFAST_TEST_PATIENCE=3
fi
[ $# -gt 0 ] || set -- --seed "${CHAOS_SEED:-1}" --seconds 25
exec "$python" "$here/runner.py" "$@"
