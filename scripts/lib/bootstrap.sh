# Makes Python environments on a machine that may have nothing but Python. Sourced by scripts/lib/run, which sets
# root and cache and defines fail.
# shellcheck shell=bash disable=SC2154

# The first Python >= 3.11 that can make environments or be installed into one.
find_python() {
  local candidate
  for candidate in python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      # A shim (pyenv, asdf) answers for another file, and an environment must link to the real one.
      "$candidate" -I -c 'import os, sys; print(os.path.realpath(sys.executable))'
      return
    fi
  done
  fail "there is no Python 3.11 or later" "on Debian 12 or later: apt-get install -y python3"
}

# Tells uv where packages come from, on a machine where only pip was told.
export_index() { # PYTHON
  if [[ -z ${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-} ]]; then
    local index=${PIP_INDEX_URL:-}
    [[ -n $index ]] || index=$("$1" -m pip config get global.index-url 2>/dev/null) || index=
    if [[ -n $index ]]; then
      export UV_DEFAULT_INDEX=$index
    fi
  fi
  if [[ -z ${SSL_CERT_FILE:-} && -n ${PIP_CERT:-} ]]; then
    export SSL_CERT_FILE=$PIP_CERT
  fi
}

# uv from PATH, else from the Python package index into an environment of its own, checked against its hashes.
find_uv() { # PYTHON
  if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then
    link_uv "$(command -v uv)"
    return
  fi
  local lock=$root/requirements/bootstrap.txt sum home
  sum=$(sha256sum <"$lock")
  home=$cache/bootstrap/uv-${sum:0:12}
  if [[ ! -f $home/.complete || ! -x $home/bin/uv ]]; then
    printf 'bootstrap: no uv here: taking it from the Python package index\n' >&2
    if ! "$1" -I -c 'import ensurepip, venv' 2>/dev/null; then
      install_venv_module "$1"
    fi
    rm -rf "$home"
    "$1" -m venv "$home" >&2 || fail "$1 cannot make an environment in $home" "see the messages above" 1
    "$home/bin/python" -m pip --quiet --disable-pip-version-check install --require-hashes --only-binary :all: \
      -r "$lock" >&2 || fail "uv could not be installed" "check that pip reaches the Python package index" 1
    : >"$home/.complete"
  fi
  link_uv "$home/bin/uv"
}

# Scripts that run later find uv where they find every other tool.
link_uv() { # UV
  mkdir -p "$cache/bin"
  [[ $1 == "$cache/bin/uv" ]] || ln -sfn "$1" "$cache/bin/uv"
  printf '%s\n' "$1"
}

# Debian ships Python without the module that makes environments.
install_venv_module() { # PYTHON
  local fix="run as root: apt-get install -y python3-venv"
  [[ $EUID -eq 0 && -x /usr/bin/apt-get && $1 == /usr/bin/* ]] || fail "$1 lacks the modules venv and ensurepip" "$fix"
  printf 'bootstrap: %s cannot make environments: installing Debian'\''s python3-venv\n' "$1" >&2
  {
    DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
      DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends python3-venv "${1##*/}-venv"
  } >/dev/null || fail "python3-venv could not be installed" "$fix" 1
}

make_venv() { # GROUP VENV
  local group=$1 venv=$2 lock=$root/requirements/$1.txt python uv begun=$SECONDS
  mkdir -p "$cache/venvs" 2>/dev/null && [[ -w $cache/venvs ]] ||
    fail "$cache cannot be written" "run it as root, or set ML_PLATFORM_CACHE_DIR to a directory that you can write"
  # Closed when the subshell ends, and with it the lock is gone, however it ends.
  (
    flock 9
    # Another process may have made it while this one waited.
    [[ -f $venv/.complete && -x $venv/bin/python ]] && exit
    python=$(find_python)
    export_index "$python"
    uv=$(find_uv "$python")
    printf 'bootstrap: making the Python environment %s ...\n' "${venv##*/}" >&2
    rm -rf "$venv"
    export UV_PYTHON_DOWNLOADS=never
    "$uv" venv --quiet --no-project --python "$python" "$venv" >&2 || fail "uv cannot make $venv" "see above" 1
    # Compiled now, because PYTHONDONTWRITEBYTECODE in the environment would make every later start compile all of it.
    "$uv" pip sync --quiet --require-hashes --compile-bytecode --python "$venv/bin/python" "$lock" >&2 ||
      fail "the packages of requirements/$group.txt could not be installed" \
        "check that the Python package index can be reached, then run this again" 1
    : >"$venv/.complete"
    printf 'bootstrap: %s done in %s s\n' "${venv##*/}" "$((SECONDS - begun))" >&2
  ) 9>"$cache/venvs/.$group.lock"
}
