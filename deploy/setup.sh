#!/usr/bin/env bash
# Brings a checkout to the point where it runs: `deploy/setup.sh run` or `deploy/setup.sh dev`.
# Each part leaves a stamp with the hash of what it was made from; what has not changed is not done again.
# Development packages include those to run, so a set-up for `dev` serves `run` too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
kind=${1:-run}
root=$PWD
venv=.venv
front=annotate/frontend
logs=$(mktemp -d)
jobs=()

# Leaves nothing running and no draft behind, whether it ends well, badly or by Ctrl-C.
tidy() {
  local job
  for job in "${jobs[@]}"; do kill -- "-$job" 2>/dev/null || true; done
  rm -rf "$logs"
}
trap tidy EXIT
trap 'exit 130' INT TERM HUP

fail() { printf '\n%s\n' "$1" >&2; exit 1; }
hash_of() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }

# Runs a command quietly: a line with its seconds if it went well, the end of its output if not.
quietly() {
  local label=$1 log began
  shift
  log=$(mktemp "$logs/log.XXXXXX")
  began=$SECONDS
  if "$@" >"$log" 2>&1 </dev/null; then
    printf '  ✓ %s %s s\n' "$label" $((SECONDS - began))
  else
    printf '  ✗ %s\n\n' "$label" >&2
    tail -n 40 "$log" >&2
    return 1
  fi
}

find_python() {
  local name
  for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  fail "Python 3.11 or newer is needed. Install it, or name it: PYTHON=/path/to/python3 make run"
}

make_venv() {
  local python
  python=$(find_python)
  rm -rf "$venv"
  quietly "Python environment" "$python" -m venv "$venv" ||
    fail "Python's venv module is missing or broken. On Debian and Ubuntu: apt install python3-venv"
  quietly "uv" "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9
}

install_packages() {
  local stamp=$venv/.fairlabel-packages place=$venv/.fairlabel-place had="" wanted=$kind lock=requirements.lock hash
  hash=$(cat requirements.lock requirements-dev.lock pyproject.toml | hash_of)
  if [ "$(cat "$place" 2>/dev/null)" = "$root" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    had=$(cat "$stamp" 2>/dev/null || true)
  fi
  if [ "$had" = "$kind $hash" ] || [ "$had" = "dev $hash" ]; then return 0; fi
  if [[ $had == dev\ * ]]; then wanted=dev; fi
  if [ -z "$had" ] && { [ ! -x "$venv/bin/uv" ] || [ "$(cat "$place" 2>/dev/null)" != "$root" ]; }; then
    make_venv
    printf '%s' "$root" >"$place"
  fi
  rm -f "$stamp"
  if [ "$wanted" = dev ]; then lock=requirements-dev.lock; fi
  export VIRTUAL_ENV=$root/$venv
  quietly "Python packages" "$venv/bin/uv" pip sync --require-hashes "$lock"
  quietly "Fairlabel itself" "$venv/bin/uv" pip install --no-deps -e .
  printf '%s' "$wanted $hash" >"$stamp"
}

front_end_hash() {
  find "$front" -name node_modules -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | hash_of
}

build_front_end() {
  [ -f "$front/package.json" ] || return 0
  local packages_stamp=$front/node_modules/.fairlabel-packages built_stamp=annotate/static/dist/.fairlabel-built
  local packages sources
  packages=$( (printf '%s\n' "$root"; cat "$front/package.json" "$front/package-lock.json") | hash_of)
  sources=$(front_end_hash)
  local have_packages=no have_build=no
  [ "$(cat "$packages_stamp" 2>/dev/null)" = "$packages" ] && have_packages=yes
  [ "$(cat "$built_stamp" 2>/dev/null)" = "$sources" ] && have_build=yes
  # To run, a finished build is enough; the checks of `make test` need the packages as well.
  if [ $have_build = yes ] && { [ "$kind" = run ] || [ $have_packages = yes ]; }; then return 0; fi
  node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null && command -v npm >/dev/null ||
    fail "Node.js 20 or newer with npm is needed to build the pages. See https://nodejs.org/en/download"
  if [ $have_packages = no ]; then
    quietly "Front-end packages" npm --prefix "$front" ci --no-audit --no-fund
    printf '%s' "$packages" >"$packages_stamp"
  fi
  if [ $have_build = no ]; then
    quietly "Front end" npm --prefix "$front" run build
    printf '%s' "$sources" >"$built_stamp"
  fi
}

compile_catalogues() {
  [ -d annotate/locale ] || return 0
  local stamp=$venv/.fairlabel-catalogues hash
  hash=$(find annotate/locale -name '*.po' -print0 | LC_ALL=C sort -z | xargs -0 cat | hash_of)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ] && [ -n "$(find annotate/locale -name '*.mo' -print -quit)" ]; then
    return 0
  fi
  quietly "Translations" "$venv/bin/pybabel" compile --directory annotate/locale
  printf '%s' "$hash" >"$stamp"
}

case $kind in run | dev) ;; *) fail "usage: deploy/setup.sh run|dev" ;; esac

# Python compiles a module at its first import; done once here, every process of the first start is spared it.
compile_modules() {
  local stamp=$venv/.fairlabel-compiled
  [ "$stamp" -nt "$venv/.fairlabel-packages" ] && return
  env -u PYTHONDONTWRITEBYTECODE DATABASE_URL=postgresql:// "$venv/bin/python" -c '
import contextlib, importlib
for name in ("annotate.migrate", "annotate.tables", "annotate.worker", "annotate.app", "uvicorn.main"):
    with contextlib.suppress(Exception):
        importlib.import_module(name)
' >/dev/null 2>&1 || true
  touch "$stamp"
}

prepare_python() {
  install_packages
  compile_catalogues
  compile_modules
}

# Both run as jobs with a process group each: a failing command ends its job, and `tidy` can end a whole job.
set -m
build_front_end &
front_end=$!
prepare_python &
python=$!
jobs=("$front_end" "$python")
set +m
wait "$python" || fail "The Python packages could not be installed; the reason stands above."
wait "$front_end" || fail "The pages could not be built; the reason stands above."
