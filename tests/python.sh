#!/bin/sh
# Runs a test written in Python: python.sh PYTHON TEST ARGS…; skipped where configure found no Python.
python=$1
shift
if [ "$python" = no ]; then
	echo "SKIP: python3 is missing (Debian: python3)"
	if [ "${HF_STRICT:-0}" = 1 ]; then
		exit 1
	fi
	exit 77
fi
exec "$python" "$@"
