"""What the manifests say of real screens.

A file in `tests/golden/providers/NAME-VERSION/screens/` is a title and what tmux showed under it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spawners.providers.manifest import Activity, judge, load, parse, words_of
from spawners.providers.registry import BUILTIN

GOLDEN = Path(__file__).parents[2] / "golden" / "providers"
CLIS = [provider.name for provider in BUILTIN if provider.binaries]

FOLDER, APPROVAL = "asks whether to trust this folder", "asks for an approval"
READY, WORKING, FAILED = "waits for a message", "is working on a turn", "waits for a message after an error: "

WANTED = {
    "aider-after-long-paste": ("idle", FAILED + "litellm.BadRequestError"),
    "aider-approval": ("blocked", APPROVAL),
    "aider-busy": ("busy", WORKING),
    "aider-busy-on-second": ("busy", WORKING),
    "aider-error": ("idle", FAILED + "litellm.BadRequestError: OpenAIException - stub failure"),
    "aider-idle": ("idle", READY),
    "aider-pasted-2-lines": ("idle", READY),
    "aider-pasted-60-lines": ("idle", READY),
    "aider-pasted-long-line": ("idle", READY),
    "aider-streaming": ("busy", WORKING),
    "claude-after-long-paste": ("idle", READY),
    "claude-apikey": ("blocked", "asks about the API key it has found"),
    "claude-approval": ("blocked", APPROVAL),
    "claude-busy": ("busy", WORKING),
    "claude-busy-on-second": ("busy", WORKING),
    "claude-bypass": ("blocked", "asks for a choice"),
    "claude-error": ("idle", FAILED + "API Error: 529 stub failure."),
    "claude-idle": ("idle", READY),
    "claude-pasted-2-lines": ("idle", READY),
    "claude-pasted-60-lines": ("idle", READY),
    "claude-pasted-long-line": ("idle", READY),
    "claude-trust": ("blocked", FOLDER),
    "codex-after-long-paste": ("idle", READY),
    "codex-approval": ("blocked", APPROVAL),
    "codex-busy": ("busy", WORKING),
    "codex-busy-on-second": ("busy", WORKING),
    "codex-error": ("idle", FAILED + '{"type": "error", "error": {"type": "invalid_request_error"'),
    "codex-idle": ("idle", READY),
    "codex-login": ("blocked", "asks for a login"),
    "codex-pasted-2-lines": ("idle", READY),
    "codex-pasted-60-lines": ("idle", READY),
    "codex-pasted-long-line": ("idle", READY),
    "copilot-after-long-paste": ("idle", FAILED + "400 stub failure"),
    "copilot-approval": ("blocked", APPROVAL),
    "copilot-approval-path": ("blocked", APPROVAL),
    "copilot-busy": ("busy", WORKING),
    "copilot-busy-on-second": ("busy", WORKING),
    "copilot-error": ("idle", FAILED + "400 stub failure"),
    "copilot-filled-busy": ("busy", WORKING),
    "copilot-filled-error": ("idle", FAILED + "400 stub failure"),
    "copilot-filled-idle": ("idle", READY),
    "copilot-idle": ("idle", READY),
    "copilot-pasted-2-lines": ("idle", READY),
    "copilot-pasted-60-lines": ("idle", READY),
    "copilot-pasted-long-line": ("idle", READY),
    "copilot-trust": ("blocked", FOLDER),
    "gemini-after-long-paste": ("idle", READY),
    "gemini-approval": ("blocked", APPROVAL),
    "gemini-busy": ("busy", WORKING),
    "gemini-busy-on-second": ("busy", WORKING),
    "gemini-error": ("idle", FAILED + '[API Error: {"type":"error"'),
    "gemini-idle": ("idle", READY),
    "gemini-login": ("blocked", "asks how to log in"),
    "gemini-pasted-2-lines": ("idle", READY),
    "gemini-pasted-60-lines": ("idle", READY),
    "gemini-pasted-long-line": ("idle", READY),
    "gemini-trust": ("blocked", FOLDER),
    "opencode-after-long-paste": ("idle", FAILED + "stub failure"),
    "opencode-approval": ("blocked", APPROVAL),
    "opencode-approval-80-columns": ("blocked", APPROVAL),
    "opencode-busy": ("busy", WORKING),
    "opencode-busy-on-second": ("busy", WORKING),
    "opencode-error": ("idle", FAILED + "stub failure"),
    "opencode-idle": ("idle", READY),
    "opencode-idle-tip": ("idle", READY),
    "opencode-pasted-2-lines": ("idle", READY),
    "opencode-pasted-60-lines": ("idle", READY),
    "opencode-pasted-long-line": ("idle", READY),
    "qwen-after-long-paste": ("idle", READY),
    "qwen-approval": ("blocked", APPROVAL),
    "qwen-busy": ("busy", WORKING),
    "qwen-busy-on-second": ("busy", WORKING),
    "qwen-error": ("idle", FAILED + "[API Error: 400 stub failure]"),
    "qwen-idle": ("idle", READY),
    "qwen-login": ("blocked", "asks how to log in"),
    "qwen-pasted-2-lines": ("idle", READY),
    "qwen-pasted-60-lines": ("idle", READY),
    "qwen-pasted-long-line": ("idle", READY),
    "qwen-starting": ("busy", "is starting"),
}


def _file(name: str) -> Path:
    provider, _, shown = name.partition("-")
    return GOLDEN / f"{provider}-{BUILTIN.get(provider).proven}" / "screens" / f"{shown}.txt"


def screen(name: str) -> tuple[str, list[str]]:
    title, *lines = _file(name).read_text(encoding="utf-8").split("\n")
    return title, lines


def test_every_recorded_screen_is_named_here() -> None:
    assert {*GOLDEN.glob("*/screens/*.txt")} == {_file(name) for name in WANTED}


@pytest.mark.parametrize("name", WANTED)
def test_a_recorded_screen_is_judged_as_what_it_was(name: str) -> None:
    activity, reason = WANTED[name]

    judged = judge(load(name.partition("-")[0]), *screen(name))

    assert judged.activity == activity
    assert judged.reason.startswith(reason)


@pytest.mark.parametrize("name", [name for name, (activity, _) in WANTED.items() if activity == "blocked"])
def test_a_question_counts_whatever_the_title_says(name: str) -> None:
    """Titles lie: gemini's says ready while it asks for a login, and claude's is the same as at rest."""
    provider = name.partition("-")[0]
    title, _ = screen(f"{provider}-busy")

    assert judge(load(provider), title, screen(name)[1]).activity is Activity.BLOCKED


@pytest.mark.parametrize("provider", CLIS)
def test_a_program_that_has_just_started_says_nothing_yet(provider: str) -> None:
    assert judge(load(provider), "", ["", "loading"]).activity is Activity.NO_SIGNAL


@pytest.mark.parametrize("provider", CLIS)
def test_an_answer_that_speaks_of_a_question_is_none(provider: str) -> None:
    """The rules for questions look only where the CLI's own input would else be."""
    title, lines = screen(f"{provider}-idle")
    said = ["● Do you want to proceed?", "Enter to confirm", "Press enter to continue", "╰────╯"]

    assert judge(load(provider), title, [*said, *lines]).activity is Activity.IDLE


@pytest.mark.parametrize("provider", CLIS)
def test_what_stands_for_a_long_paste_is_known(provider: str) -> None:
    _, lines = screen(f"{provider}-pasted-60-lines")

    assert any(load(provider).pasted.search(line) for line in lines)
    assert BUILTIN.get(provider).manifest() == load(provider)


GOOD = """\
version = 1
cli = "1"
[submit]
delay_ms = 1
bracketed_paste = true
pasted = "x"
[[rule]]
activity = "idle"
reason = "r"
"""


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("version = 1", "version = 2"),
        GOOD.replace("delay_ms", "delay") + 'title = "x"',
        GOOD,
        GOOD + 'screen = "x"',
        GOOD + 'title = "("',
        GOOD + 'title = "x"\nnonsense = 1',
        GOOD.replace("idle", "asleep") + 'title = "x"',
    ],
)
def test_a_manifest_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"manifest|rule|Activity"):
        parse("some", text)


def test_a_manifest_that_follows_the_rules_is_read() -> None:
    found = parse("some", GOOD + 'title = "^x"\n')

    assert (found.submit_delay_s, len(found.rules)) == (0.001, 1)
    assert judge(found, "xyz", []).reason == "r"


WITH_MENU = [name for name in WANTED if load(name.partition("-")[0]).menu is not None]


@pytest.mark.parametrize("name", WITH_MENU)
def test_the_menu_of_an_approval_is_there_only_while_it_is_asked(name: str) -> None:
    menu = load(name.partition("-")[0]).menu
    assert menu is not None

    assert bool(menu.shown(screen(name)[1])) == (WANTED[name][1] == APPROVAL)


@pytest.mark.parametrize("name", [name for name in WITH_MENU if WANTED[name][1] == APPROVAL])
def test_a_menu_on_which_another_answer_is_chosen_takes_no_enter(name: str) -> None:
    """Enter would take that one: a person has moved the mark. A number takes the answer that it names."""
    menu = load(name.partition("-")[0]).menu
    assert menu is not None
    lines = screen(name)[1]
    moved = [re.sub(r"[❯›●] 1\.", "  1.", line).replace("  2.", "❯ 2.") for line in lines]

    assert bool(menu.shown(moved)) == (menu.allow == "1")


@pytest.mark.parametrize("name", [name for name in WITH_MENU if WANTED[name][1] == APPROVAL])
def test_a_question_is_told_without_its_answers(name: str) -> None:
    menu = load(name.partition("-")[0]).menu
    assert menu is not None

    told = words_of(menu.shown(screen(name)[1]))

    assert re.search(r"touch|outside", told)
    assert not re.search(r"[❯›●]|\d\. ", told)
