#!/bin/sh
# Makes the virtual environment .venv, after looking for what the build needs: Python 3.11 or newer with venv and
# its C headers, and a C compiler.  What is missing is named, with the command that gets it.
#
#   .ci/bootstrap.sh            make .venv
#   PYTHON=... CC=... .ci/bootstrap.sh    with this interpreter, this compiler
set -eu

fail() {
    printf '\n%s\n' "$1" >&2
    shift
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    printf '\n' >&2
    exit 1
}

# Answers ok, or what an interpreter lacks.
look_at() {
    "$1" - <<'PYTHON' 2>/dev/null || echo "does not start"
import os, sys, sysconfig
if sys.version_info < (3, 11):
    print("is Python %d.%d; 3.11 or newer is needed" % sys.version_info[:2])
elif not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")):
    print("has no C headers (Python.h)")
else:
    try:
        import ensurepip, venv
        print("ok")
    except ImportError:
        print("cannot make virtual environments (venv, ensurepip)")
PYTHON
}

python=
seen=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3}; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    answer=$(look_at "$candidate")
    if [ "$answer" = ok ]; then
        python=$candidate
        break
    fi
    [ "$answer" = "does not start" ] || seen="$seen
    $candidate $answer"
done
[ -n "$python" ] || fail "Python 3.11 or newer with venv and C headers is needed; found: ${seen:-none}" \
    "Debian, Ubuntu:  apt-get install python3 python3-venv python3-dev" \
    "Fedora:          dnf install python3 python3-devel" \
    "macOS:           brew install python@3.12" \
    "or name one:     make PYTHON=/path/to/python3.11 ..."

compiler=${CC:-cc}
command -v "${compiler%% *}" >/dev/null 2>&1 || fail "A C compiler is needed for the matching core; \`$compiler\` is not there." \
    "Debian, Ubuntu:  apt-get install gcc libc6-dev" \
    "Fedora:          dnf install gcc" \
    "macOS:           xcode-select --install" \
    "or name one:     make CC=/path/to/compiler ..."
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
echo '#include <stdint.h>
#include <string.h>
int main(void) { return (int)strlen(""); }' > "$probe/probe.c"
$compiler -o "$probe/probe" "$probe/probe.c" 2> "$probe/says" || {
    cat "$probe/says" >&2
    fail "The C compiler \`$compiler\` is there, but cannot build a program." \
        "Debian, Ubuntu:  apt-get install gcc libc6-dev"
}

[ -x .venv/bin/python ] && [ "$(look_at .venv/bin/python)" = ok ] && exit 0
echo "making .venv with $("$python" --version)"
rm -rf .venv
"$python" -m venv .venv
