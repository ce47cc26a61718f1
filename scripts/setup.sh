#!/bin/sh
# Runs setup.py, which needs Python 3.8 or newer.
if ! command -v python3 >/dev/null 2>&1; then
	echo "hdas setup: python3 is not installed, and libtorch comes as a Python package." >&2
	echo "  Install Python 3 with pip (Debian, Ubuntu: apt-get install python3-pip), or set LIBTORCH to a libtorch 2.1." >&2
	exit 1
fi
exec python3 "$(dirname "$0")/setup.py" "$@"
