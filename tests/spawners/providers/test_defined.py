"""A provider that is only written down does what its file says, and refuses the rest; a bad one is told."""

from __future__ import annotations

from typing import Any

import pytest
from scripting import SCRIPTED
from sources import ROOT
from streams import take_all

from spawners.launch import Stdin
from spawners.providers.base import Ability, ApprovalMode, Ask, Opening, ProviderError
from spawners.providers.defined import Defined, DefinitionError, defined
from spawners.providers.manifest import Activity, judge
from spawners.providers.tally import Outcome, Tally

SMALL = """
version = 1
binaries = ["small"]
[approval]
guarded = []
"""


def small(more: str) -> Defined:
    return defined("small", SMALL + more)


def ask(**fields: Any) -> Ask:
    given: dict[str, Any] = {"mode": "headless", "cwd": "/w", "env": {}, "state_dir": "/s", "prompt": "go"}
    return Ask(**{**given, "executable": "/bin/cli", **fields})


SCRIPT = defined("scripted", SCRIPTED)
BARE = small("[headless]\nargv = []")


def test_it_can_what_its_tables_say() -> None:
    assert SCRIPT.modes == ("headless", "embedded")
    assert SCRIPT.approval_modes == tuple(ApprovalMode)
    assert SCRIPT.abilities == {
        *(Ability.RESULT, Ability.RESUME, Ability.SESSION_ID),
        *(Ability.CONVERSATION, Ability.APPROVALS, Ability.INTERRUPT),
    }
    assert SCRIPT.variables == ("SCRIPTED_*", "SCRIPTED_KEY")
    assert SCRIPT.parse_version("scripted 1.0") == SCRIPT.proven == "1.0"
    assert SCRIPT.parse_version("something else 1.0") is None
    bare = small('[headless]\nargv = ["x"]')
    assert (bare.modes, bare.abilities, bare.approval_modes) == (
        ("headless",),
        set(),
        (ApprovalMode.GUARDED,),
    )


@pytest.mark.parametrize(
    ("fields", "argv"),
    [
        ({}, ("--level", "ask")),
        ({"approval_mode": ApprovalMode.OPEN}, ("--level", "all")),
        ({"model": "m"}, ("--level", "ask", "--model", "m")),
        ({"session_id": "s"}, ("--level", "ask", "--session", "s")),
        ({"session_id": "new", "resume": "s"}, ("--level", "ask", "--resume", "s")),
    ],
    ids=str,
)
def test_a_group_is_left_out_where_its_value_is_not_given(
    fields: dict[str, Any], argv: tuple[str, ...]
) -> None:
    plan = SCRIPT.plan(ask(**fields))

    assert plan.argv == ("/bin/cli", "run", "--events", *argv)
    assert plan.stdin == Stdin(b"go")
    assert plan.session_id == fields.get("resume", fields.get("session_id"))
    assert plan.env == {"SCRIPTED_QUIET": "1"}


def test_a_guarded_run_that_somebody_answers_for_is_spoken_with() -> None:
    plan = SCRIPT.plan(ask(asks=True))
    assert plan.argv == ("/bin/cli", "serve", "--level", "ask")
    assert plan.stdin.live
    assert plan.opening is not None
    assert (plan.opening.prompt, plan.opening.asks, plan.opening.keep) == ("go", True, False)
    for plain in (ask(), ask(asks=True, approval_mode=ApprovalMode.OPEN)):
        assert not SCRIPT.plan(plain).stdin.live
    assert SCRIPT.plan(ask(conversation=True)).opening == Opening(
        channel="speaks", prompt="go", cwd="/w", keep=True
    )


@pytest.mark.parametrize("prompt", ["--flag", 'it\'s "quoted"\n{model}', "x" * 1000])
def test_a_prompt_arrives_unchanged_by_every_way(prompt: str) -> None:
    by_file = small('[headless]\nargv = ["-f", "{prompt_file}"]\nprompt = "file"').plan(ask(prompt=prompt))
    assert by_file.argv == ("/bin/cli", "-f", "/s/prompt.txt")
    assert by_file.files == {"prompt.txt": prompt.encode()}

    by_argument = small('[headless]\nargv = ["--", "{prompt}"]\nprompt = "argv"').plan(ask(prompt=prompt))
    assert by_argument.argv == ("/bin/cli", "--", prompt)

    assert SCRIPT.plan(ask(prompt=prompt)).stdin == Stdin(prompt.encode())


def test_files_and_folders_are_filled_in() -> None:
    plan = small(
        '[headless]\nargv = ["--dir={cwd}", "-c", "{state_dir}/s.json"]\n[files]\n"s.json" = "{}"'
    ).plan(ask())
    assert plan.argv == ("/bin/cli", "--dir=/w", "-c", "/s/s.json")
    assert plan.files == {"s.json": b"{}"}


@pytest.mark.parametrize(
    ("provider", "fields", "words"),
    [
        (BARE, {"mode": "embedded"}, "cannot run in mode embedded; use headless"),
        (BARE, {"approval_mode": ApprovalMode.READ_ONLY}, "cannot be held to read-only"),
        (BARE, {"model": "m"}, "no {model}"),
        (BARE, {"resume": "s"}, "no {resume}"),
        (BARE, {"conversation": True}, "no [conversation]"),
        (BARE, {"executable": None}, "not installed"),
        (
            defined("mine", SMALL + "[headless]\nargv = []"),
            {"executable": None},
            "so that a new terminal finds `small`",
        ),
        (BARE, {"prompt": None}, "needs a prompt"),
        (small("[embedded]\nargv = []"), {"mode": "embedded"}, "no first prompt"),
        (
            small('[headless]\nargv = ["{prompt}"]\nprompt = "argv"'),
            {"prompt": "--rm"},
            "could take a prompt that begins with - for a flag",
        ),
        (
            small('[headless]\nargv = ["{prompt}"]\nprompt = "argv"'),
            {"prompt": "x" * 200_000},
            "at most 102400 bytes",
        ),
        (SCRIPT, {"model": "--yolo"}, "is no model"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str | dict) else "",
)
def test_what_the_file_has_no_words_for_is_refused(
    provider: Defined, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(ProviderError) as refused:
        provider.plan(ask(**fields))
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version = ", "not valid TOML"),
        ("version = 2", "version: "),
        ('version = 1\nbinaries = ["x"]', "the key approval is missing"),
        (SMALL, "add a [headless]"),
        (SMALL + "[headless]\nprompt = 'argv'", "the key headless.argv is missing"),
        (SMALL + 'argvv = ["x"]', "approval"),
        (
            SMALL + '[headless]\nargvv = ["x"]',
            "there is no key headless.argvv; known are: argv, prompt, stream",
        ),
        ("binary = 1\n" + SMALL, "there is no key binary; known are: version, binaries"),
        (SMALL + "[headless]\nargv = 1", "headless.argv: Expected `array`, got `int`"),
        (SMALL + '[headless]\nargv = ["{modle}"]', "'{modle}' names what cannot be filled in here"),
        (SMALL + '[headless]\nargv = ["--model={model}"]', "write it as a group"),
        (SMALL + '[embedded]\nargv = ["{prompt}"]', "write it as a group"),
        (SMALL + '[embedded]\nargv = [["-i={prompt}"]]', "an argument of its own"),
        (SMALL + '[headless]\nargv = []\nprompt = "argv"', "headless.argv: add {prompt}"),
        (
            SMALL + '[headless]\nargv = []\nstream = "xml"',
            "headless.stream: Invalid enum value 'xml'; known are: claude-stream-json, codex-jsonl, lines",
        ),
        (SMALL + '[acp]\nmodes = {all = "x"}', "acp.modes: Invalid enum value 'all'; known are: read-only, "),
        (
            SMALL.replace('"small"', '"/bin/small"') + "[headless]\nargv = []",
            "binaries[0]: a program is named without its folder",
        ),
        (SMALL.replace("[]", '["-x"]') + "[headless]\nargv = []", 'add "{approval}"'),
        (
            SMALL.replace("guarded", "yolo") + "[headless]\nargv = []",
            "approval: Invalid enum value 'yolo'; known are: read-only, guarded, open",
        ),
        (SMALL + "[headless]\nargv = []\n[lines]\nerror = '('", "lines.error is no regular expression"),
        (SMALL + "[headless]\nargv = []\n[cli]\nversion_pattern = 'x'", "needs a group"),
        (SMALL + '[headless]\nargv = []\n[environment]\nvariables = ["*"]', "environment.variables"),
        (SMALL + '[headless]\nargv = []\n[files]\n"../x" = ""', "files"),
        (SMALL + "[headless]\nargv = []\n[manifest]\nrule = 1", "[manifest]"),
    ],
    ids=lambda value: value[-30:],
)
def test_a_mistake_in_the_file_is_named_with_its_key(text: str, words: str) -> None:
    with pytest.raises(DefinitionError) as error:
        defined("small", text)
    assert words in str(error.value)


def test_the_example_in_the_readme_is_one() -> None:
    example = (ROOT / "README.md").read_text().partition("```toml\nversion = 1\n")[2].partition("```")[0]
    mycli = defined("mycli", "version = 1\n" + example)

    assert mycli.plan(ask(model="m")).argv == ("/bin/cli", "run", "--model", "m", "--json")
    assert mycli.plan(ask(mode="embedded", resume="s")).argv == ("/bin/cli", "--resume", "s", "go")
    assert mycli.plan(ask(conversation=True)).argv == ("/bin/cli", "acp")
    assert mycli.manifest() is not None


@pytest.mark.parametrize("name", ["", "Small", "a b", "-x", "x" * 33])
def test_a_name_is_one_that_can_be_typed(name: str) -> None:
    with pytest.raises(DefinitionError, match="is no name for a provider"):
        defined(name, SCRIPTED)


LINES = """
[headless]
argv = []
stream = "lines"
[lines]
error = '^error: (?P<said>.*)'
ignored = '^~'
session = '^session: (\\S+)'
"""


def heard(output: bytes, size: int) -> Outcome:
    dialogue, tally = small(LINES).dialogue(Opening()), Tally()
    for start in range(0, len(output), size):
        take_all(tally, dialogue.feed(output[start : start + size]))
    take_all(tally, dialogue.end())
    return tally.outcome


@pytest.mark.parametrize("size", [1, 7, 65536])
def test_text_is_the_answer_but_for_the_lines_that_are_known(size: int) -> None:
    outcome = heard(b"session: s-1\n~ thinking\none\n\ntwo \xc3\xa4\r\nthree", size)

    assert (outcome.session_id, outcome.text, outcome.failure) == ("s-1", "one\n\ntwo ä\nthree", None)
    assert outcome.finished


@pytest.mark.parametrize("size", [1, 65536])
def test_a_line_that_is_an_error_fails_the_run(size: int) -> None:
    outcome = heard(b"half an answer\nerror: 401 unauthorized\n", size)

    assert (outcome.failure, outcome.text) == ("401 unauthorized", None)


def test_no_output_is_an_empty_answer_and_no_error() -> None:
    assert heard(b"", 1).failure is None


def test_its_screens_are_judged_by_its_manifest() -> None:
    manifest = SCRIPT.manifest()
    assert manifest is not None
    assert judge(manifest, "✳ Claude Code", []).activity is Activity.IDLE
    assert (manifest.cli, manifest.submit_delay_s, manifest.bracketed_paste) == ("1.0", 0.02, True)
    assert not manifest.pasted.search("[Pasted text #1")
    assert small("[headless]\nargv = []").manifest() is None
