#!/bin/sh
# Runs setup.py or, with "pytorch" or "onnx" as the first argument, environment.py. Without Python it prints what to install.
if ! command -v python3 >/dev/null 2>&1; then
	echo "hdas setup: python3 is not installed; it fetches libtorch and sets the compiler's flags." >&2
	echo "  Install Python 3.8 or newer with pip (Debian, Ubuntu: apt-get install python3 python3-pip)." >&2
	exit 1
fi
if [ "$1" = pytorch ] || [ "$1" = onnx ]; then
	exec python3 "$(dirname "$0")/environment.py" "$@"
fi
exec python3 "$(dirname "$0")/setup.py" "$@"
