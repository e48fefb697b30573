"""The environment a new terminal would give, for agents that a daemon starts.

A daemon started by a service manager knows nothing of what the user's start-up files set up: the PATH
with nvm, brew or ~/.local/bin on it, the proxy, the API keys. So the login shell is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from orchestrator.probe import ask
from relay.wire.private import replace_file
from spawners import _os
from spawners._os import program_folders, stored_environment
from spawners.providers.environment import Names
from spawners.providers.registry import Registry

__all__ = ["LoginEnvironment", "LoginShell", "login_environment"]

TIMEOUT_S = 10.0
WAIT_S = 1.5
"""How long a spawn waits for the shell; after that it starts with the best environment known so far."""

RETRY_S = 60.0
"""How long a failure counts before the shell is asked again."""

TAKEN = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "XDG_*"),
    *("SSH_AUTH_SOCK", "GPG_AGENT_INFO", "DBUS_SESSION_BUS_ADDRESS", "EDITOR", "VISUAL", "PAGER"),
    *(
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ),
    *("SSL_CERT_*", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"),
    *("GIT_AUTHOR_*", "GIT_COMMITTER_*", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_CONFIG_GLOBAL"),
    *(
        "NVM_DIR",
        "FNM_DIR",
        "VOLTA_HOME",
        "BUN_INSTALL",
        "PNPM_HOME",
        "PYENV_ROOT",
        "CARGO_HOME",
        "RUSTUP_HOME",
    ),
    *("GOPATH", "GOROOT", "JAVA_HOME", "ANDROID_HOME", "ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR"),
    *("HOMEBREW_PREFIX", "HOMEBREW_CELLAR", "HOMEBREW_REPOSITORY", "NIX_PATH", "NIX_PROFILES"),
    *(
        "SYSTEMROOT",
        "SYSTEMDRIVE",
        "WINDIR",
        "COMSPEC",
        "PATHEXT",
        "OS",
        "APPDATA",
        "LOCALAPPDATA",
        "PROGRAMDATA",
        "ALLUSERSPROFILE",
        "PUBLIC",
        "PROGRAMFILES*",
        "PROGRAMW6432",
        "COMMONPROGRAM*",
        "PSMODULEPATH",
        "USERPROFILE",
        "USERNAME",
        "USERDOMAIN*",
        "COMPUTERNAME",
        "HOMEDRIVE",
        "HOMEPATH",
        "PROCESSOR_*",
        "NUMBER_OF_PROCESSORS",
        "TEMP",
        "TMP",
    ),
)
"""What is taken beside the variables the providers name. All else (tokens above all) stays behind;
a spawn that needs more sets it itself, if the host's policy allows that name."""

START_FILES = (
    *("~/.profile", "~/.bash_profile", "~/.bash_login", "~/.bashrc", "~/.zshenv", "~/.zprofile", "~/.zshrc"),
    *("~/.zlogin", "~/.config/fish/config.fish", "~/.config/fish/conf.d", "/etc/profile", "/etc/profile.d"),
    *("/etc/bash.bashrc", "/etc/bashrc", "/etc/zshenv", "/etc/zprofile", "/etc/zshrc", "/etc/zsh/zshenv"),
    *("/etc/zsh/zprofile", "/etc/zsh/zshrc", "/etc/paths", "/etc/paths.d"),
)
"""When one of these changes, the shell is asked anew."""

_LIKE_ENV = f"""{shlex.quote(sys.executable)} -I -S -c 'import os, sys
for name, value in os.environb.items(): sys.stdout.buffer.write(name + b"=" + value + bytes(1))'"""
"""As `env -0`, which macOS before 13 does not know."""

Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LoginEnvironment:
    """`source` says where `env` is from, for `doctor`; `error` why it is not from the login shell."""

    env: Mapping[str, str]
    source: str
    error: str | None = None


async def login_environment(
    providers: Registry,
    shell: str | None = None,
    timeout_s: float = TIMEOUT_S,
    own: Mapping[str, str] | None = None,
) -> LoginEnvironment:
    """Ask `shell` (default: SHELL) what a login gives, with `own` (default: ours) as what it inherits.

    Never raises for what the shell does: if it fails, hangs or is no shell, the answer is `own` with
    the reason in `error`. Either way only variables of the allow-list and those that one of `providers`
    may need are in it, and the PATH holds
    absolute folders only: the login's, then ours, then the well-known ones that exist.
    """
    stored = stored_environment()
    if stored is not None and shell is None:
        return _as_stored(providers, stored)
    inherited = _completed(_taken(providers, os.environ if own is None else own))
    inherited.setdefault("HOME", os.path.expanduser("~"))
    path = shell or inherited.get("SHELL") or "/bin/sh"
    begin, end = secrets.token_hex(16), secrets.token_hex(16)
    script = f"command printf %s {begin}; command env -0 || {_LIKE_ENV}; command printf %s {end}"
    quiet = {"TERM": "dumb", "MUSTER_RESOLVING_ENVIRONMENT": "1"}
    cwd = inherited["HOME"] if os.path.isdir(inherited["HOME"]) else "/"
    try:
        answer = await ask(
            (path, "-l", "-i", "-c", script), inherited | quiet, cwd, timeout_s=timeout_s, until=end.encode()
        )
    except OSError as error:
        return _degraded(inherited, f"{path} cannot be started: {error.strerror}; set SHELL")
    _, found, rest = answer.output.partition(begin.encode())
    text, complete, _ = rest.partition(end.encode())
    if not (found and complete):
        why = f"did not answer within {timeout_s:g} s" if answer.timed_out else "ended without an answer"
        return _degraded(inherited, f"{path} {why}; look at what its start-up files do")
    env = _taken(providers, _parse(text))
    env["PATH"] = _joined(env.get("PATH", ""), inherited.get("PATH", ""))
    return LoginEnvironment(inherited | env, f"login shell {path}")


def _as_stored(providers: Registry, stored: Mapping[str, str]) -> LoginEnvironment:
    env = _taken(providers, stored)
    return LoginEnvironment({**env, "PATH": _joined(env.get("PATH", ""))}, "the registry")


def _degraded(inherited: Mapping[str, str], error: str) -> LoginEnvironment:
    env = {**inherited, "PATH": _joined(inherited.get("PATH", ""))}
    return LoginEnvironment(env, "the daemon's own environment", error)


def _parse(text: bytes) -> dict[str, str]:
    pairs = (entry.partition(b"=") for entry in text.split(b"\0"))
    return {os.fsdecode(name): os.fsdecode(value) for name, equals, value in pairs if equals}


def _taken(providers: Registry, env: Mapping[str, str]) -> dict[str, str]:
    taken = Names((*TAKEN, *providers.variables()))
    return providers.scrub({name: value for name, value in env.items() if name in taken})


def _completed(env: Mapping[str, str]) -> dict[str, str]:
    """With what a login's session has, where the service manager has left that out."""
    session = _os.session_variables()
    if any(env.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG")):
        session.pop("LC_CTYPE", None)
    return {**session, **env}


def _joined(*paths: str) -> str:
    folders = [folder for path in paths for folder in path.split(os.pathsep)]
    known: Iterable[str] = (os.path.expanduser(os.path.expandvars(folder)) for folder in program_folders)
    folders += [folder for folder in known if os.path.isdir(folder)]
    return os.pathsep.join(dict.fromkeys(folder for folder in folders if os.path.isabs(folder)))


def _stamp() -> Stamp:
    """Changes with every start-up file that is written, made or deleted."""
    times = []
    for file in START_FILES:
        try:
            times.append(os.stat(os.path.expanduser(file)).st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)


class LoginShell:
    """Asks the login shell when it must, in the background, and remembers the answer.

    `cache_path` keeps the PATH alone (values may be secret) for the first spawn after a restart on a
    machine with a slow shell.
    """

    def __init__(
        self,
        providers: Registry,
        cache_path: str,
        shell: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        wait_s: float = WAIT_S,
        own: Mapping[str, str] | None = None,
    ) -> None:
        self._providers = providers
        self._cache_path = cache_path
        self._shell = shell
        self._timeout_s = timeout_s
        self._wait_s = wait_s
        self._own = own
        self._answer: LoginEnvironment | None = None
        self._good: LoginEnvironment | None = None
        self._stamp: Stamp = ()
        self._failed_at = 0.0
        self._asking: asyncio.Task[LoginEnvironment] | None = None

    async def environment(self) -> Mapping[str, str]:
        """The environment for agents. Waits at most `wait_s`, and only when start-up files changed
        since the last answer or there is none yet."""
        return (await self.login()).env

    async def login(self) -> LoginEnvironment:
        """Like `environment`, with where it is from. What the system itself keeps is read each time: that
        takes less than a millisecond, and an installer may just have changed it."""
        stored = stored_environment()
        if stored is not None and self._shell is None:
            return _as_stored(self._providers, stored)
        if self._answer is not None and self._fresh():
            return self._answer
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="login-shell")
        done, _ = await asyncio.wait({self._asking}, timeout=self._wait_s)
        if done:
            return done.pop().result()
        return self._answer or self._meanwhile()

    def _fresh(self) -> bool:
        if self._failed_at and time.monotonic() - self._failed_at > RETRY_S:
            return False
        return self._stamp == _stamp()

    async def _ask(self) -> LoginEnvironment:
        try:
            stamp = _stamp()
            answer = await login_environment(self._providers, self._shell, self._timeout_s, self._own)
            self._failed_at = time.monotonic() if answer.error else 0.0
            self._stamp = stamp
            if answer.error is None:
                self._remember(answer)
                self._good = self._answer = answer
            elif self._good is not None:  # an answer of an hour ago is better than none
                self._answer = replace(self._good, error=answer.error)
            else:
                self._answer = self._with_remembered_path(answer)
            return self._answer
        finally:
            self._asking = None

    def _meanwhile(self) -> LoginEnvironment:
        inherited = _completed(_taken(self._providers, os.environ if self._own is None else self._own))
        return self._with_remembered_path(_degraded(inherited, "the login shell has not answered yet"))

    def _with_remembered_path(self, degraded: LoginEnvironment) -> LoginEnvironment:
        try:
            with open(self._cache_path) as file:
                remembered = json.load(file)["path"]
        except (OSError, ValueError, KeyError, TypeError):
            return degraded
        return replace(degraded, env={**degraded.env, "PATH": _joined(str(remembered), degraded.env["PATH"])})

    def _remember(self, answer: LoginEnvironment) -> None:
        temporary = f"{self._cache_path}.new"
        with contextlib.suppress(OSError):  # only a start after this one would have been quicker
            os.makedirs(os.path.dirname(self._cache_path), mode=0o700, exist_ok=True)
            with open(temporary, "w") as file:
                json.dump({"path": answer.env["PATH"]}, file)
            replace_file(temporary, self._cache_path)
