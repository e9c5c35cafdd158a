# Sourced by scripts/lock, sbom and audit: the environment .venv-audit, from the lock of the extra
# 'audit'; its folder bin comes first in PATH. Exit code 3: it cannot be installed.
unset PYTHONPATH PYTHONHOME
_venv=$PWD/.venv-audit
_wanted=$(sha256sum <requirements/lock/audit.txt)
if [ "$(cat "$_venv/made_from" 2>/dev/null)" != "$_wanted" ] || [ ! -x "$_venv/bin/uv" ]; then
  printf '== environment of the audit in .venv-audit: half a minute the first time\n' >&2
  rm -rf "$_venv"
  "${PYTHON:-python3}" -m venv "$_venv" || {
    printf 'no virtual environment: sudo apt-get install -y python3-venv\n' >&2
    exit 2
  }
  "$_venv/bin/python" -m pip --disable-pip-version-check install -q --no-deps --require-hashes \
    -r requirements/lock/audit.txt || {
    printf 'the environment of the audit cannot be installed: run it again with a network\n' >&2
    exit 3
  }
  printf '%s\n' "$_wanted" >"$_venv/made_from"
fi
export PATH=$_venv/bin:$PATH
