# The steps of .ci/run. Sourced; uses its variables.
# shellcheck shell=bash disable=SC2154

# step NAME COMMAND...: runs it, says what it takes, ends the run if it fails.
step() {
    local name=$1 started=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@"
    last_s=$((SECONDS - started))
    timings+=("$(printf '%4d s  %s' "$last_s" "$name")")
}

finish() {
    local code=$1
    set +e
    [[ -x $work/first/.venv/bin/muster ]] &&
        MUSTER_HOME=$work/home "$work/first/.venv/bin/muster" down --stop-agents >/dev/null 2>&1
    ((${#postgres_stop[@]})) && "${postgres_stop[@]}" >/dev/null 2>&1
    rm -rf "$work"
    printf '\n'
    ((${#timings[@]})) && printf '%s\n' "${timings[@]}"
    printf '%4d s  in all; %s\n' "$SECONDS" "$([[ $code == 0 ]] && echo passed || echo FAILED)"
    exit "$code"
}

# Commands that the tests use, and the Debian packages they are in.
system_packages() {
    local missing=() packages=() pair
    for pair in git:git ip:iproute2 mount:mount ps:procps runuser:util-linux zsh:zsh fish:fish npm:npm \
        tmux:tmux vim:vim htop:htop less:less openssl:openssl systemctl:systemd dbus-daemon:dbus-user-session; do
        command -v "${pair%%:*}" >/dev/null || { missing+=("${pair%%:*}"); packages+=("${pair#*:}"); }
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || { missing+=(venv); packages+=(python3-venv); }
    [[ ${MUSTER_TEST_POSTGRES:-} || $(postgres_bin) ]] || { missing+=(initdb); packages+=(postgresql); }
    ((${#missing[@]})) || { echo "all there"; return; }
    echo "missing: ${missing[*]}"
    install_packages "${packages[@]}"
}

install_packages() {
    [[ $EUID == 0 ]] && command -v apt-get >/dev/null || { echo "please install: $*"; return; }
    export DEBIAN_FRONTEND=noninteractive
    [[ $packages_known ]] || apt-get update -qq
    packages_known=yes
    apt-get install -y -q --no-install-recommends "$@" | sed -n '/^After this operation/p'
}

# Terminals, and what else it takes to open windows of them where there is no screen. A command is the name
# that the tests know it by.
TERMINALS=(gnome-terminal:gnome-terminal konsole:konsole xfce4-terminal:xfce4-terminal mate-terminal:mate-terminal
    kitty:kitty alacritty:alacritty foot:foot tilix:tilix qterminal:qterminal lxterminal:lxterminal
    terminator:terminator kgx:gnome-console urxvt:rxvt-unicode xterm:xterm st:stterm screen:screen)
X11_SESSION=(Xvfb:xvfb openbox:openbox wmctrl:wmctrl xprop:x11-utils import:imagemagick dbus-daemon:dbus-daemon
    dbus-send:dbus-bin)
WAYLAND_SESSION=(sway:sway swaymsg:sway grim:grim setpriv:util-linux convert:imagemagick)

terminals() {
    local packages=() pair
    for pair in "${TERMINALS[@]}" "${X11_SESSION[@]}" "${WAYLAND_SESSION[@]}"; do
        command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
    done
    ((${#packages[@]})) || { echo "all there"; return; }
    echo "missing: ${packages[*]}"
    install_packages "${packages[@]}"
}

# all_there COMMAND:PACKAGE...
all_there() {
    local pair
    for pair; do
        command -v "${pair%%:*}" >/dev/null || return 1
    done
}

# The CLIs of .ci/package.json, in a folder named by its content.
npm_clis() {
    command -v npm >/dev/null || { echo "npm is missing: tests of real CLIs are skipped"; return; }
    local prefix
    prefix=$cache/npm-$(sha256sum "$source_tree/.ci/package.json" | cut -c1-12)
    if [[ ! -e $prefix/complete ]]; then
        mkdir -p "$prefix"
        cp "$source_tree/.ci/package.json" "$prefix/"
        (cd "$prefix" && npm install --no-audit --no-fund --loglevel=error)
        touch "$prefix/complete"
    fi
    export MUSTER_TEST_NPM=$prefix
    node --version
    (cd "$prefix" && npm ls --depth=0 | tail -n +2)
}

# aider in a virtual environment of its own: it pins a hundred packages, and needs a Python before 3.13.
aider_cli() {
    local version=0.86.2 python found prefix
    for python in python3.12 python3.11 python3; do
        found=$(command -v "$python" || true)
        [[ $found ]] && "$found" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' && break
        found=
    done
    [[ $found ]] || { echo "no Python from 3.10 to 3.12 for aider: its tests are skipped"; return; }
    prefix=$cache/aider-$version-$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [[ ! -e $prefix/complete ]]; then
        rm -rf "$prefix"
        "$found" -m venv "$prefix"
        "$prefix/bin/pip" install -q --disable-pip-version-check "aider-chat==$version"
        touch "$prefix/complete"
    fi
    export MUSTER_TEST_AIDER=$prefix
    "$prefix/bin/pip" list --disable-pip-version-check 2>/dev/null | grep -i '^aider'
}

postgres_bin() {
    local found
    found=$(find /usr/lib/postgresql /usr/pgsql-* -path '*/bin/initdb' 2>/dev/null | sort -V | tail -1 || true)
    [[ $found ]] || found=$(command -v initdb || true)
    [[ -z $found ]] || dirname "$found"
}

# A server of our own on a free port: no role, database or setting of this machine is touched.
postgres() {
    local bin data port as=()
    [[ -z ${MUSTER_TEST_POSTGRES:-} ]] || { echo "given"; return; }
    bin=$(postgres_bin)
    [[ $bin ]] || { echo "PostgreSQL is missing: its tests are skipped"; return; }
    data=$(mktemp -d /tmp/muster-ci-pg.XXXXXX)
    if [[ $EUID == 0 ]]; then
        chown postgres "$data"
        as=(runuser -u postgres --)
    fi
    port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    (
        cd "$data"
        "${as[@]}" "$bin/initdb" -D "$data/db" -U muster -A trust -E UTF8 --no-sync >"$work/initdb.log"
        "${as[@]}" "$bin/pg_ctl" -D "$data/db" -w -l "$data/log" \
            -o "-h 127.0.0.1 -p $port -k $data -c fsync=off -c max_connections=200" start >/dev/null
    )
    postgres_stop=(stop_postgres "$bin" "$data" "${as[@]}")
    export MUSTER_TEST_POSTGRES=postgresql://muster@127.0.0.1:$port/postgres
    "$bin/postgres" --version
}

stop_postgres() {
    local bin=$1 data=$2
    shift 2
    (cd "$data" && "$@" "$bin/pg_ctl" -D "$data/db" -m immediate stop)
    rm -rf "$data"
}

# The last commit. A tree of another user is taken as it is: it is only read.
make_clone() {
    printf '[safe]\n\tdirectory = *\n' >"$work/gitconfig"
    GIT_CONFIG_GLOBAL=$work/gitconfig git clone -q --no-hardlinks "$source_tree" "$1"
    git -C "$1" log -1 --format='%h %s'
    local changed
    changed=$(GIT_CONFIG_GLOBAL=$work/gitconfig git -C "$source_tree" status --porcelain | wc -l)
    ((changed == 0)) || echo "$changed changed files are not part of this: commit them first"
}

# Names of the `needs` marker (tests/conftest.py) whose tests may not be skipped here.
must_not_skip() {
    local names=() program
    [[ $(uname) != Linux ]] || names+=(linux)
    [[ $EUID != 0 ]] || names+=(root)
    [[ $EUID != 0 || ! (-w /sys/fs/cgroup/memory || -w /sys/fs/cgroup/cgroup.procs) ]] || names+=(cgroup)
    [[ -z ${MUSTER_TEST_POSTGRES:-} ]] || names+=(postgres)
    [[ -z ${MUSTER_TEST_NPM:-} ]] || names+=(npm claude codex gemini opencode copilot qwen)
    [[ -z ${MUSTER_TEST_AIDER:-} ]] || names+=(aider)
    [[ -z ${MUSTER_TEST_WINE:-} ]] || names+=(wine)
    for program in tmux vim htop less openssl x-terminal-emulator "${TERMINALS[@]%%:*}"; do
        ! command -v "$program" >/dev/null || names+=("$program")
    done
    ! all_there "${X11_SESSION[@]}" || names+=(xvfb)
    ! all_there "${WAYLAND_SESSION[@]}" || names+=(wayland)
    [[ $EUID != 0 || ! -x /lib/systemd/systemd ]] || names+=(systemd)
    (IFS=,; echo "${names[*]}")
}

# The one command of the README that begins by making a .venv and holds the word.
readme_command() {
    local found
    found=$(grep '^python3 -m venv .venv && ' README.md | grep -w -- "$1" || true)
    [[ $found && $(wc -l <<<"$found") == 1 ]] || { echo "README.md has no single command with $1" >&2; return 1; }
    echo "$found"
}

suite_within() {
    ((last_s <= $1)) || { echo "the suite took $last_s s, more than $1 s"; return 1; }
}

# Processes that come from tests: they name the clone or a test's folder, one to a line.
of_tests() {
    local process
    for process in /proc/[0-9]*; do
        if { tr '\0' ' ' <"$process/cmdline" && readlink "$process/exe" "$process/cwd"; } 2>/dev/null |
            grep -qF -e "$clone/.venv" -e "/pytest-of-"; then
            printf '%s %s\n' "${process#/proc/}" "$(tr '\0' ' ' <"$process/cmdline" 2>/dev/null | cut -c1-150 || true)"
        fi
    done
}

nothing_left() {
    local left
    left=$(comm -13 <(sort <<<"$before") <(of_tests | sort))
    [[ -z $left ]] || { echo "still running: $left"; return 1; }
}

first_run() {
    make_clone "$1"
    local said command
    command=$(readme_command 'muster run')
    said=$(cd "$1" && MUSTER_HOME=$work/home bash -c "$command" 2>"$work/first.err") ||
        { cat "$work/first.err"; return 1; }
    cat "$work/first.err"
    echo "$said"
    [[ $said == "hello from an agent" ]]
    MUSTER_HOME=$work/home "$1/.venv/bin/muster" down
}

# What `pip install .` brings, without the installer itself.
base_size() {
    python3 -m venv "$work/base"
    "$work/base/bin/pip" install -q .
    "$work/base/bin/pip" uninstall -q -y setuptools 2>/dev/null || true
    local packages mb
    packages=$("$work/base/bin/pip" list --format=freeze | grep -vc '^pip==')
    "$work/base/bin/pip" uninstall -q -y pip
    mb=$(du -sm "$work/base" | cut -f1)
    echo "$packages packages (at most 40), $mb MB (at most $1)"
    ((mb <= $1 && packages <= 40))
}

tree_is_clean() {
    local changed
    changed=$(git status --porcelain)
    [[ -z $changed ]] || { echo "$changed"; return 1; }
}
