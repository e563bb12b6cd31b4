#!/bin/sh
# The units are ones that systemd takes without a word, and are as locked up as they are meant to be: an exposure of 1.5 at most.
set -u
: "${HF_BUILDDIR:?run it with make check}" "${HF_SRCDIR:?run it with make check}"
if ! command -v systemd-analyze >/dev/null 2>&1; then
	echo "SKIP: systemd-analyze is missing; make check-system has the same under a real systemd"
	exit 77
fi
new=$(mktemp -d) || exit 1
trap 'rm -rf "$new"' EXIT
faults=0

for unit in holdfast.service holdfast@.service; do
	# The program is not installed yet, and a template is looked at as one of its instances.
	name=$(echo "$unit" | sed 's/@/@two/')
	sed "s|^\(Exec[A-Za-z]*=\)[^ ]*|\1$HF_BUILDDIR/holdfast|" "$HF_BUILDDIR/systemd/$unit" >"$new/$name" || exit 1
	said=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$new/$name" 2>&1)
	rc=$?
	# what it says of other units of this machine is not ours
	said=$(printf '%s\n' "$said" | grep -F "$new/$name")
	if [ "$rc" -ne 0 ] || [ -n "$said" ]; then
		echo "$unit: systemd-analyze verify: exit status $rc: $said"
		faults=$((faults + 1))
	fi
	if ! said=$(systemd-analyze security --no-pager --offline=true --threshold=15 "$new/$name" 2>&1); then
		printf '%s\n' "$said" | tail -n 3
		echo "$unit: is more exposed than 1.5"
		faults=$((faults + 1))
	fi
done
# The unit may write in /run in a folder of its own alone: what the documents show lies there.
for path in $(grep -ho 'unix:/run/[^ ,`]*' "$HF_SRCDIR/README.md" "$HF_SRCDIR/etc/man/holdfast.conf.5" | sort -u); do
	folder=${path#unix:/run/}
	if ! grep -qx "RuntimeDirectory=${folder%/*}" "$HF_BUILDDIR/systemd/holdfast.service"; then
		echo "$path: is shown, and the unit has no RuntimeDirectory=${folder%/*}"
		faults=$((faults + 1))
	fi
done
echo "units: $faults faults"
[ "$faults" -eq 0 ]
