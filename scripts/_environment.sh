# Sourced by scripts/quickstart, scripts/test and .ci/run: makes the virtual environment they run
# in and installs sloth_jax into it, once. Afterwards nothing is installed and no network is used
# until the first part of pyproject.toml changes. Needs nothing but bash and one Python >= 3.11.
#
#   PYTHON            interpreter to make the environment with, tried before those on PATH
#   SLOTH_JAX_VENV    where the environment is (default: .venv in the repository)
#
# Sets `root` (the repository) and `python` (the environment's interpreter).

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
environment="${SLOTH_JAX_VENV:-$root/.venv}"
[[ $environment == /* ]] || environment="$PWD/$environment"
python="$environment/bin/python"
stamp="$environment/sloth_jax-installed"

say() { printf '%s\n' "$*" >&2; }

# Prints the version and path of the first interpreter that will do, or says what is missing.
find_python() {
    local candidate version path venv found=""
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.14 python; do
        [[ -n $candidate ]] || continue
        # A name on PATH may be a shim that fails, so each is asked rather than looked up.
        IFS='|' read -r version venv path < <("$candidate" -c '
import sys
try:
    import ensurepip, venv
except ImportError:
    venv = None
print("%d.%d.%d" % sys.version_info[:3] + "|%s|%s" % (venv and "venv" or "", sys.executable))
' 2>/dev/null </dev/null) || continue
        if ! at_least_3_11 "$version"; then
            found="${found:-$version at $path}"
        elif [[ -z $venv ]]; then
            found="$version at $path, without its venv module"
        else
            printf '%s %s\n' "$version" "$path"
            return
        fi
    done
    say "sloth_jax needs Python 3.11 or newer; found ${found:-none on PATH};" \
        "install it or set PYTHON=/path/to/python3.11"
    return 2
}

at_least_3_11() {
    local major="${1%%.*}" rest="${1#*.}"
    ((major > 3 || (major == 3 && ${rest%%.*} >= 11)))
}

# Whether the environment's Python runs, is new enough and has pip.
environment_works() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || return
    "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null 2>&1
    "$python" -m pip --version >/dev/null 2>&1 || return
    # pip writes a package's INSTALLER last: one that lacks it was interrupted halfway.
    [[ -z $(find "$environment"/lib/python*/site-packages -maxdepth 1 -name '*.dist-info' \
        ! -exec test -e '{}/INSTALLER' ';' -print) ]]
}

make_environment() {
    local found
    found="$(find_python)" || exit $?
    if [[ -n ${SLOTH_JAX_VENV:-} && ! -e $environment/pyvenv.cfg && -n $(ls -A "$environment" 2>/dev/null) ]]; then
        say "SLOTH_JAX_VENV=$environment is neither empty nor a virtual environment; name another place"
        exit 2
    fi
    say "Making ${environment#"$root"/} with Python ${found%% *} ..."
    "${found#* }" -m venv --clear "$environment"
}

# need_environment [EXTRA]: after it, $python can import sloth_jax and what EXTRA adds.
need_environment() {
    local extra="${1:-}" wanted installed=""
    wanted="$root $(sed '/^\[tool\./,$d' "$root/pyproject.toml" | cksum)"
    [[ ! -f $stamp ]] || installed="$(<"$stamp")"
    if [[ -x $python && ($installed == "$wanted" || $installed == "$wanted "*) ]]; then
        [[ -n $extra && " ${installed#"$wanted"} " != *" $extra "* ]] || return 0
    fi
    environment_works || make_environment
    say "Installing sloth_jax${extra:+ with its $extra extra} (a minute or two, once) ..."
    rm -f "$stamp"
    (cd "$root" && "$python" -m pip install --quiet --disable-pip-version-check --no-input \
        -e ".${extra:+[$extra]}" </dev/null)
    # Written last, so that an interrupted installation is taken up by the next run.
    [[ $installed == "$wanted "* ]] || installed="$wanted"
    printf '%s\n' "$installed${extra:+ $extra}" >"$stamp"
}
