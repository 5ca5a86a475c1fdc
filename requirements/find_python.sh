#!/bin/sh
# Prints the Python to make the environment with: the one named, if it is of a wanted version; if
# that is plain "python3", else the first pythonX.Y of one on the path.
#   requirements/find_python.sh PYTHON VERSION...        (such as python3 3.11 3.12)
wanted=$1
shift
versions=$*

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

fits() {
    found=$(version_of "$1") || return 1
    for version in $versions; do
        [ "$found" = "$version" ] && return 0
    done
    return 1
}

python=
if fits "$wanted"; then
    python=$wanted
elif [ "$wanted" = python3 ]; then
    for version in $versions; do
        if fits "python$version"; then
            python=python$version
            break
        fi
    done
fi

if [ -z "$python" ]; then
    found=$(version_of "$wanted") || found="not there"
    echo "This stack needs Python, one of: $versions; '$wanted' is $found." >&2
    echo "Install one and name it: make install PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$python cannot make virtual environments; on Debian or Ubuntu:" >&2
    echo "  apt install python$(version_of "$python")-venv" >&2
    exit 1
fi
echo "$python"
