#!/bin/sh
# Makes .venv agree with envs/requirements.lock; returns at once when it already does.
# `bootstrap.sh docs` does the same for .venv-docs and envs/docs.lock, `bootstrap.sh mutants` for its own.
#
# PYTHON=/path/to/python chooses the interpreter; otherwise the one of an existing .venv stays,
# or the first suitable one on PATH is taken.
# The stamp, a copy of the lock inside .venv, is written last: after an interruption there is none,
# and the next call starts from an empty .venv.
set -eu
cd "$(dirname "$0")/.."

# Settings of the caller that redirect Python, pip or uv away from the folders made here.
unset PYTHONHOME PYTHONPATH __PYVENV_LAUNCHER__ VIRTUAL_ENV CONDA_PREFIX
unset PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_DRY_RUN
unset UV_SYSTEM_PYTHON UV_PYTHON UV_TARGET UV_PREFIX UV_CONSTRAINT UV_DRY_RUN UV_VENV_SEED

name=${1:-requirements}
venv=.venv${1:+-$1} lock=envs/$name.lock
stamp=$venv/.${lock#envs/}

# Version of the interpreter $1; empty when it is missing or does not run.
version() { "$1" -S -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || :; }

have=$(version $venv/bin/python)
want=$have
if [ -n "${PYTHON:-}" ]; then want=$(version "$PYTHON"); fi
if [ -n "$have" ] && [ "$want" = "$have" ] && cmp -s $lock $stamp; then exit 0; fi

# An activated .venv must not provide the tools that replace it.
PATH=$(printf '%s\n' "$PATH" | tr ':' '\n' | grep -vxF "$PWD/.venv/bin" | paste -sd: -)

# All pins have wheels for 3.11 to 3.13. A newer Python is the last choice, an older one none.
if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON"
else
    set -- .venv/bin/python python3 python3.12 python3.13 python3.11 python
fi
python='' newer='' refused=''
for candidate; do
    found=$(version "$candidate")
    case $found in
        3.1[123].*) python=$candidate; break ;;
        3.1[4-9].*) newer=${newer:-$candidate} ;;
        ?*) refused="$refused, $candidate is $found" ;;
    esac
done
python=${python:-$newer}
if [ -z "$python" ]; then
    refused=${refused#, }
    echo "make env: Python 3.11 or newer is needed, but ${refused:-none of '$*' runs}." \
        "Install Python 3.12, or name one with 'make env PYTHON=/path/to/python3.12'." >&2
    exit 1
fi
base=$("$python" -c 'import sys; print(sys._base_executable)')

# A mirror or certificate that pip is told to use serves uv too.
mirror=${PIP_INDEX_URL:-$("$base" -m pip config get global.index-url 2>/dev/null || :)}
if [ -n "$mirror" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$mirror}"; fi
if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"; fi

uv=uv
if ! $uv --version >/dev/null 2>&1; then
    uv=.uv/bin/uv
    if ! $uv --version >/dev/null 2>&1; then
        echo "make env: fetching uv"
        "$base" -m venv --clear .uv
        awk '/^[^ #]/ { wanted = /^uv==/ } wanted' $lock >.uv/uv.lock
        .uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .uv/uv.lock
    fi
fi

if [ -t 2 ]; then quiet=''; else quiet=--quiet; fi
echo "make env: installing $(grep -c '^[a-z]' $lock) packages into $venv with Python $(version "$base")"
if [ ! -f $stamp ] || [ "$(version "$base")" != "$have" ]; then
    rm -f $stamp
    rm -rf $venv
    $uv venv --quiet --relocatable --no-python-downloads --python "$base" $venv
fi
rm -f $stamp
$uv pip sync $quiet --require-hashes --python $venv/bin/python $lock
cp $lock $stamp
