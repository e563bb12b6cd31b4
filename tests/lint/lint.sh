#!/bin/sh
# make lint: the checks of `make check`, then the slow tools on the whole source. Arguments: the checks, from the
# source folder. Each tool that is missing is named and makes the result a failure: lint that did not run proves nothing.
set -u
cd "${HF_SRCDIR:?run it with make lint}" || exit 1
faults=0

step() {
	printf '== %s\n' "$1"
}
wrong() {
	faults=$((faults + 1))
	printf 'lint: %s\n' "$1"
}
have() {
	if [ "${1:-no}" = no ]; then
		wrong "$2 is missing (Debian: $3)"
		return 1
	fi
}
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)

for check in "$@"; do
	step "$check"
	"${HF_PYTHON:-python3}" "$check" || wrong "$check"
done

step "python compiles"
find tests -name '*.py' -print | sort | xargs "${HF_PYTHON:-python3}" -c '
import sys
for path in sys.argv[1:]:
    with open(path, "rb") as f:
        compile(f.read(), path, "exec")' || wrong "python files"

step "shellcheck"
if have "${HF_SHELLCHECK:-no}" shellcheck shellcheck; then
	{
		echo bootstrap
		echo .ci/run
		find tests etc docker -name '*.sh' -print 2>/dev/null
	} | while read -r script; do
		[ -f "$script" ] && printf '%s\n' "$script"
	done | xargs "$HF_SHELLCHECK" || wrong "shellcheck"
fi

step "cppcheck"
if have "${HF_CPPCHECK:-no}" cppcheck cppcheck; then
	"$HF_CPPCHECK" -q -j "$jobs" --std=c11 --language=c --error-exitcode=1 --inline-suppr \
		--enable=warning,performance,portability --suppressions-list=tests/lint/cppcheck.txt \
		--library=posix -I src src || wrong "cppcheck"
fi

step "clang-tidy"
if have "${HF_CLANG_TIDY:-no}" clang-tidy clang-tidy-14; then
	# HF_COMPILE_FLAGS is one word a flag
	# shellcheck disable=SC2086
	find src -name '*.c' -print | sort |
		xargs -P "$jobs" -I '{}' "$HF_CLANG_TIDY" --quiet '{}' -- ${HF_COMPILE_FLAGS:-} -Wno-unknown-warning-option 2>/dev/null ||
		wrong "clang-tidy"
fi

printf 'lint: %s\n' "$([ "$faults" -eq 0 ] && echo clean || echo "$faults steps found faults")"
[ "$faults" -eq 0 ]
