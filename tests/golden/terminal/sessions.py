"""Which sessions are recorded, and the homes that the provider CLIs find."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CLIS", "SESSIONS", "Session"]


@dataclass(frozen=True)
class Session:
    """A program and what to do with it, step by step: `see:` and a regular expression that must be on
    the screen, `type:` and keys, `mark:` and a name for this point. `trusted` prepares a home."""

    argv: list[str]
    steps: list[str]
    files: dict[str, str]
    env: dict[str, str]
    trusted: Callable[[Path, str], None] | None = None


def plain(argv: list[str], *steps: str, files: dict[str, str] | None = None, **env: str) -> Session:
    return Session(argv, list(steps), files or {}, env)


TEXT = "".join(f"line {n:3d}  the quick brown fox jumps over the lazy dog\n" for n in range(1, 120))
WIDE = "naïve café – “quotes” … 漢字テスト 한글 Ελληνικά Русский ▲▼ │┌─┐│ ✓ e\u0301a\u0300\n" * 3
CODE = 'def greet(name: str) -> str:\n    """Say hello."""\n    return f"hello {name}"  # comment\n\n' * 12
REPOSITORY = (
    "git init -q -b main . && git config user.name Ann && git config user.email ann@example.org && "
    "cp code.py a.py && git add a.py && git commit -qm 'First' && sed -i s/hello/goodbye/ a.py && "
    "git commit -qam 'Say goodbye — naïvely' && "
)
DATES = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}

SESSIONS: dict[str, Session] = {
    "vim": plain(
        ["vim", "-u", "NONE", "-N", "--cmd", "syntax on | set number ruler hlsearch", "code.py"],
        "see:greet", "mark:opened", "type:/name\r", "mark:searched",
        "type:Gonew line – 漢字 é\x1b", "see:new line", "type:gg:split\r", "mark:split",
        "type::%s/hello/HELLO/g\r", "see:HELLO", "mark:replaced", "type::qa!\r", "mark:left",
        files={"code.py": CODE},
    ),
    "htop": plain(
        ["unshare", "-pf", "--mount-proc", "htop", "-d", "5"],
        "see:F10", "mark:shown", "type:\x1bOQ", "mark:setup",
        "type:\x1b", "type:q", "mark:left",
    ),
    "less": plain(
        ["less", "text.txt"],
        "see:line", "mark:first page", "type: ", "mark:second page",
        "type:/line  60\r", "mark:found", "type:k", "mark:back", "type:q", "mark:left",
        files={"text.txt": TEXT},
    ),
    "dialog": plain(
        ["dialog", "--title", "A title", "--menu", "Choose one:", "15", "50", "5",
         "one", "First – é", "two", "Second", "three", "Third"],
        "see:Third", "mark:menu", "type:\x1b[B", "mark:moved", "type:\t", "mark:button",
        "type:\r", "mark:left",
    ),
    "python": plain(
        [sys.executable, "-q", "-X", "utf8"],
        "see:>>>", "type:print('héllo 漢字')\r", "see:héllo 漢字\n", "type:[n**2 for n in range(60)]\r",
        "see:3481", "type:1/0\r", "see:ZeroDivisionError", "mark:error",
        "type:for n in range(40): print('row', n)\r\r", "see:row 39", "mark:scrolled",
    ),
    "git-log": plain(
        ["sh", "-c", REPOSITORY + "exec git -c color.ui=always log -p"],
        "see:commit", "mark:first page", "type: ", "mark:second page", "type:G", "mark:end",
        files={"code.py": CODE}, GIT_PAGER="less -R", **DATES,
    ),
    "shell": plain(
        ["sh", "-c",
         "cat wide.txt; cat text.txt; "
         "printf '\\033[31;1mred \\033[48;2;10;20;30mtrue colour\\033[0m\\n'; "
         "printf '\\033]2;A title – é\\007tab\\there\\n'; printf 'no newline'; exec sleep 1000"],
        "see:no newline", "mark:end",
        files={"text.txt": TEXT, "wide.txt": WIDE},
    ),
}  # fmt: skip


def trust_claude(home: Path, url: str) -> None:
    project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    settings = {
        "hasCompletedOnboarding": True, "theme": "dark",
        "customApiKeyResponses": {"approved": ["sk-ant-stub-0000"[-20:]], "rejected": []},
        "projects": {str(home / "work"): project},
    }  # fmt: skip
    (home / ".claude.json").write_text(json.dumps(settings))


def trust_codex(home: Path, url: str) -> None:
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text(
        'model = "stub-model"\nmodel_provider = "stub"\n[analytics]\nenabled = false\n'
        f'[model_providers.stub]\nname = "stub"\nbase_url = "{url}/v1"\nenv_key = "OPENAI_API_KEY"\n'
        f'wire_api = "responses"\n[projects."{home}/work"]\ntrust_level = "trusted"\n'
    )


def trust_gemini(home: Path, url: str) -> None:
    (home / ".gemini").mkdir()
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "model": {"name": "gemini-2.5-flash"},
    }
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))
    (home / ".gemini" / "trustedFolders.json").write_text(json.dumps({str(home / "work"): "TRUST_FOLDER"}))


ASK = "type:NONCE=4711 please"
CLIS: dict[str, Session] = {
    "claude": Session(
        ["claude"],
        ["see:shortcuts", "mark:ready", ASK, "type:\r", "see:PONG 4711", "mark:answered",
         "type:RUN=<<seq 30>>", "type:\r", "see:TOOL=|proceed", "mark:tool"],
        {}, {}, trust_claude,
    ),
    "codex": Session(
        ["codex", "--no-daemon"],
        ["see:stub-model", "mark:ready", ASK, "type:\r", "see:PONG 4711", "mark:answered"],
        {}, {}, trust_codex,
    ),
    "codex-inline": Session(
        ["codex", "--no-daemon", "--no-alt-screen"],
        ["see:stub-model", "mark:ready", ASK, "type:\r", "see:PONG 4711", "mark:answered"],
        {}, {}, trust_codex,
    ),
    "gemini": Session(
        ["gemini"],
        ["see:Type your message", "mark:ready", ASK, "type:\r", "see:PONG 4711",
         "mark:answered"],
        {}, {"GEMINI_CLI_NO_RELAUNCH": "true"}, trust_gemini,
    ),
}  # fmt: skip
