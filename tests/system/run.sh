#!/bin/sh
# The tests in real surroundings: a Docker engine of our own, systemd as process 1, a Debian package. `make check-system`; arguments go
# to pytest. They need root and apt, take minutes, and say what is missing when they are skipped.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 99
for python in ${PYTHON:-} /usr/bin/python3 python3; do
	"$python" -c 'import pytest, redis' 2>/dev/null && break
	python=
done
if [ -z "$python" ]; then
	echo "the tests of the system need pytest and redis-py (Debian: python3-pytest python3-redis)" >&2
	exit 77
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$python" -m pytest -p no:cacheprovider -rs --durations=10 -c /dev/null --rootdir="$here" "$@" "$here"
