"""The repository checks itself. Every rule is also held against a violation of it, so that it can fail."""

from __future__ import annotations

import ast
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rules
from sources import PACKAGES, ROOT, Source, files, sources, text_files

from relay.wire.endpoints import ENDPOINTS
from relay.wire.errors import Code

pytestmark = pytest.mark.skipif(
    not (ROOT / ".git").exists() or not shutil.which("git"), reason="not a clone: git says what belongs to it"
)

TOP_LEVEL = {
    ".ci",
    ".gitignore",
    "README.md",
    "orchestrator",
    "packaging",
    "pyproject.toml",
    "relay",
    "spawners",
    "tests",
}
MAX_FUNCTION_P90 = 35
MAX_BROAD_EXCEPTS = 1.0
"""Per 1,000 lines. The edges of loops, requests and threads need some; the models of the field have 0–4."""
Rule = Callable[[Source], Iterator[str]]


# -- every file


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_every_source_keeps_the_rule(rule: Rule) -> None:
    complaints = [complaint for source in sources(*PACKAGES) for complaint in rule(source)]
    assert not complaints, "\n".join(complaints)


def test_no_test_uses_a_mock() -> None:
    complaints = [complaint for source in sources("tests") for complaint in rules.no_mocks(source)]
    assert not complaints, "\n".join(complaints)


def test_the_keeper_imports_only_modules_written_in_c() -> None:
    modules = [source for source in sources("spawners") if source.path.startswith(rules.KEEPER)]
    modules = [source for source in modules if not source.path.startswith(rules.KEEPER + "windows/")]
    assert modules
    assert not [complaint for module in modules for complaint in rules.c_modules_only(module)]


VIOLATIONS: list[tuple[Rule, str]] = [
    (rules.short_file, "x = 1\n" * 301),
    (rules.few_parameters, "def f(a, b, c, d, e, f, g): ..."),
    (rules.few_parameters, "class A:\n    def __init__(self, a, b, c, d, e, f, g): ..."),
    (rules.few_parameters, "class A:\n    def __init__(self, *, a, b, c, d, e, f, g, h, i): ..."),
    (rules.no_mocks, "from unittest.mock import Mock"),
    (rules.no_mocks, "from unittest import mock"),
    (rules.broad_excepts, "try: ...\nexcept Exception: pass"),
    (rules.broad_excepts, "try: ...\nexcept: pass"),
    (rules.broad_excepts, "try: ...\nexcept (OSError, Exception): pass"),
    (rules.imports_at_the_top, "def f():\n    import json"),
    (rules.imports_at_the_top, "def f():\n    from . import json"),
    (rules.platform_in_its_place, "import sys\nx = sys.platform"),
    (rules.platform_in_its_place, "import os\nx = os.name"),
    (rules.forks_in_the_keeper_only, "import os\nos.fork()"),
    (rules.forks_in_the_keeper_only, "import pty\npty.fork()"),
    (rules.forks_in_the_keeper_only, "Popen(['x'], preexec_fn=f)"),
    (rules.c_modules_only, "import json"),
    (rules.c_modules_only, "from collections.abc import Callable"),
    (rules.paths_in_the_table_only, "x = '/api/spawns'"),
    (rules.paths_in_the_table_only, "x = f'/api/managed-agents/{id}'"),
    (rules.error_codes_from_the_set, "raise ApiError('oops', 'it broke')"),
]


@pytest.mark.parametrize(
    ("rule", "text"), VIOLATIONS, ids=[f"{rule.__name__}-{text[:24]}" for rule, text in VIOLATIONS]
)
def test_each_rule_sees_its_violation(rule: Rule, text: str) -> None:
    assert list(rule(Source("relay/core/example.py", text)))


def test_a_system_file_without_its_assertion_is_seen() -> None:
    assert list(rules.platform_in_its_place(Source("spawners/_os/linux.py", "import sys\n")))


# -- the whole


def test_the_code_stays_within_its_budgets(record_property: Callable[[str, object], None]) -> None:
    packages = sources(*PACKAGES)
    lengths = [function.lines for source in packages for function in source.functions]
    p90 = statistics.quantiles(lengths, n=10)[-1]
    lines = sum(source.length for source in packages)
    broad = [complaint for source in packages for complaint in rules.broad_excepts(source)]
    per_thousand = 1000 * len(broad) / lines
    print(f"{len(packages)} files, {lines} lines, {len(lengths)} functions: p90 {p90:.0f} lines,")
    print(f"longest file {max(source.length for source in packages)} lines,")
    print(f"{len(broad)} broad excepts = {per_thousand:.2f} per 1,000 lines")
    record_property("p90", p90)
    assert p90 <= MAX_FUNCTION_P90
    assert per_thousand <= MAX_BROAD_EXCEPTS, "\n".join(broad)


def test_the_docstring_does_not_count_as_length() -> None:
    (function,) = Source("x.py", 'def f():\n    """One.\n\n    Two.\n    """\n    return 1\n').functions
    assert function.lines == 2


def test_the_top_level_is_fixed() -> None:
    assert {name.partition("/")[0] for name in files()} <= TOP_LEVEL


def test_packaging_does_not_shadow_the_library_of_that_name() -> None:
    assert "packaging/__init__.py" not in files()


FORBIDDEN_TEXT = {
    "a user's folder": r"/(?:home|Users)/(?!ann\b|me\b|you\b|user\b)\w+|(?<![\w.])/root/",
    "the host of a registry": r"(?:files\.pythonhosted|pypi|registry\.(?:npmjs|yarnpkg))\.(?:org|com)\b",
    "an index of packages": r"--(?:extra-)?index-url|--registry[= ]",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a secret": r"\b(?:sk-(?:ant|proj)-[\w-]{20}|gh[pos]_\w{30}|github_pat_\w{30}|AKIA[0-9A-Z]{16})",
}


def forbidden_text(source: Source) -> Iterator[str]:
    for what, pattern in FORBIDDEN_TEXT.items():
        for found in re.finditer(pattern, source.text):
            line = source.text.count("\n", 0, found.start()) + 1
            yield f"{source.path}:{line}: {what}: {found.group()}"


def test_nothing_of_a_machine_or_an_account_is_in_the_repository() -> None:
    complaints = [
        complaint
        for source in text_files()
        if source.path != "tests/test_repository.py"
        for complaint in forbidden_text(source)
    ]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    "text",
    [
        "/home/alice/x",
        "/Users/alice",
        "cd /root/x",
        "https://pypi.org/simple",
        "pip install --index-url x",
        "-----BEGIN RSA PRIVATE KEY-----",
        "AKIA" + "ABCDEFGHIJKLMNOP",
    ],
)
def test_forbidden_text_is_seen(text: str) -> None:
    assert list(forbidden_text(Source("x", text)))


# -- the walls


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; from importlinter.cli import lint_imports as run; sys.exit(run(no_cache=True))"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_import_walls_stand() -> None:
    linted = lint_imports(ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("path", "line", "contract"),
    [
        ("spawners/errors.py", "import relay.wire.base", "spawners imports nothing of ours"),
        ("relay/core/ports.py", "import spawners.errors", "relay imports neither"),
        ("orchestrator/host.py", "import relay.core.ports", "orchestrator imports only the wire"),
        ("relay/wire/base.py", "import relay.core.ports", "the wire is a leaf"),
        ("orchestrator/agents/state.py", "import orchestrator.config", "the state machine is a leaf"),
        ("relay/core/ports.py", "import sqlalchemy", "no SQL and no HTTP"),
        ("relay/core/ports.py", "import starlette.requests", "no SQL and no HTTP"),
    ],
)
def test_a_breach_of_each_wall_is_seen(tmp_path: Path, path: str, line: str, contract: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / path).open("a") as file:
        file.write(f"\n{line}\n")
    linted = lint_imports(tmp_path)
    broken = [text for text in linted.stdout.splitlines() if text.endswith("BROKEN")]
    assert linted.returncode == 1
    assert any(contract in text for text in broken), linted.stdout


# -- the table of calls


def bound_endpoints(packages: tuple[Source, ...], folder: str) -> list[str]:
    """Return the constants of `relay.wire.endpoints` that are keys of a handler table below `folder`."""
    found = []
    for source in packages:
        if source.path.startswith(folder):
            for node in ast.walk(source.tree):
                if isinstance(node, ast.Dict):
                    found += [
                        key.attr
                        for key in node.keys
                        if isinstance(key, ast.Attribute)
                        and isinstance(key.value, ast.Name)
                        and key.value.id == "endpoints"
                    ]
    return sorted(found)


def constants_of_the_table() -> dict[str, str]:
    """Constant → name, of each endpoint that `endpoints.py` defines."""
    from relay.wire import endpoints

    table = vars(endpoints)
    return {key: value.name for key, value in table.items() if isinstance(value, endpoints.Endpoint)}


def test_the_relay_answers_every_call_of_the_table_and_no_other() -> None:
    assert bound_endpoints(sources("relay"), "relay/api/") == sorted(constants_of_the_table())


def test_the_host_answers_calls_of_the_table() -> None:
    local = bound_endpoints(sources("orchestrator"), "orchestrator/local/")
    assert local and set(local) <= set(constants_of_the_table())


def test_every_endpoint_is_in_the_table_once() -> None:
    listed = [endpoint.name for endpoint in ENDPOINTS]
    assert sorted(listed) == sorted(constants_of_the_table().values())
    assert len({(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}) == len(ENDPOINTS)


def test_every_error_code_has_a_status() -> None:
    assert all(400 <= code.status < 600 for code in Code)
