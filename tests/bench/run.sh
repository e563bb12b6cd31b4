#!/bin/sh
# `make bench`: finds the python that has redis-py and runs bench.py; arguments go to it.
here=$(cd "$(dirname "$0")" && pwd) || exit 99
export PYTHONDONTWRITEBYTECODE=1
for python in ${PYTHON:-} /usr/bin/python3 python3; do
	"$python" -c 'import redis' 2>/dev/null && exec "$python" "$here/bench.py" "$@"
done
echo "holdfast: make bench needs redis-py: apt-get install python3-redis" >&2
exit 1
