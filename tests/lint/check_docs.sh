#!/bin/sh
# The committed documents are what the option table says, and the man page is one that man takes without a warning.
set -u
: "${HF_SRCDIR:?run it with make check}" "${HF_BUILDDIR:?run it with make check}"
holdfast=$HF_BUILDDIR/holdfast
if [ ! -x "$holdfast" ]; then
	echo "docs: $holdfast is not built: run make first"
	exit 77
fi
new=$(mktemp) || exit 1
trap 'rm -f "$new"' EXIT
faults=0

compare() { # TABLE KIND FILE
	what="$1 $2"
	shift
	# shellcheck disable=SC2086
	if ! "$holdfast" debug $what >"$new"; then
		echo "$2: holdfast debug $what failed"
		faults=$((faults + 1))
	elif ! diff -u "$HF_SRCDIR/$2" "$new"; then
		echo "$2: is not what the tables say: run make update-docs and commit the result"
		faults=$((faults + 1))
	fi
}

compare options ini etc/holdfast.ini
compare options man etc/man/holdfast.conf.5
compare completion bash etc/completion/holdfast
compare completion zsh etc/completion/_holdfast
if command -v groff >/dev/null 2>&1; then
	for page in "$HF_SRCDIR"/etc/man/*.[1-9]; do
		said=$(groff -man -Tutf8 -Kutf8 -ww -z "$page" 2>&1)
		if [ -n "$said" ]; then
			echo "$said"
			faults=$((faults + 1))
		fi
	done
fi
echo "docs: $faults faults"
[ "$faults" -eq 0 ]
