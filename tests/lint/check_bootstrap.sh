#!/bin/sh
# What is asked of bootstrap in a wrong way is refused, and a question for help is answered, before anything is installed or built.
set -u
: "${HF_SRCDIR:?run it with make check}"
new=$(mktemp -d) || exit 1
trap 'rm -rf "$new"' EXIT
faults=0

# A copy in a folder of its own; what it would do its work with only says that it was called.
cp "$HF_SRCDIR/bootstrap" "$new/"
mkdir "$new/bin"
for tool in apt-get apt-cache dpkg-query autoreconf automake make pkg-config mktemp; do
	printf '#!/bin/sh\necho "%s $*" >>"%s/called"\nexit 1\n' "$tool" "$new" >"$new/bin/$tool"
	chmod 755 "$new/bin/$tool"
done

wrong() {
	echo "bootstrap $arguments: $*"
	faults=$((faults + 1))
}

asked() { # EXIT WORDS ARGUMENT...
	exit=$1 words=$2
	shift 2
	arguments=$*
	said=$(cd "$new" && PATH="$new/bin:$PATH" sh ./bootstrap "$@" 2>"$new/err" </dev/null)
	rc=$?
	[ "$rc" -eq "$exit" ] || wrong "exit status $rc, not $exit"
	[ "$exit" -eq 0 ] || said=$(cat "$new/err")
	for word in "$words" "./bootstrap run" HOLDFAST_CONFIGURE; do
		case $said in
		*"$word"*) ;;
		*) wrong "does not say '$word', but: $said" ;;
		esac
	done
	case $said in *"set -eu"*) wrong "shows its own code" ;; esac
	[ ! -e "$new/called" ] || wrong "has called $(cat "$new/called")"
	rm -f "$new/called"
}

asked 0 "./bootstrap check" --help
asked 0 "./bootstrap check" -h
asked 0 "./bootstrap check" help
asked 0 "./bootstrap check" check --help
asked 0 "./bootstrap check" build -h
asked 2 "'check' takes no arguments, and got 'tests/unit'" check tests/unit
asked 2 "'build' takes no arguments, and got '--enable-asan'" build --enable-asan
asked 2 "'chekc' is not known" chekc
asked 2 "'--prefix=/usr' is not known" --prefix=/usr
echo "bootstrap: $faults faults"
[ "$faults" -eq 0 ]
