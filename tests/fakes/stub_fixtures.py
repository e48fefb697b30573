"""Fixtures for real CLIs: a stub model, an empty home, and where root allows it no way out of the machine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["StubModel", "home", "lonely", "model"]

STUB = str(Path(__file__).with_name("stub_llm.py"))


@dataclass
class StubModel:
    """A running `stub_llm.py`. What is to reach it must be started with `prefix` before its argv."""

    url: str
    prefix: tuple[str, ...]
    process: asyncio.subprocess.Process

    async def request(self, timeout_s: float = 30.0) -> dict[str, Any]:
        """The next request that reached the model (see `stub_llm.py`), waiting for it."""
        assert self.process.stdout is not None
        seen = json.loads(await asyncio.wait_for(self.process.stdout.readline(), timeout_s))
        assert isinstance(seen, dict)
        return seen

    def environment(self, home: Path) -> dict[str, str]:
        """What the CLIs need to talk to it, beside PATH. The keys are no keys."""
        return {
            "HOME": str(home),
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": "sk-ant-stub-0000",
            "CLAUDE_CODE_MAX_RETRIES": "0",
            "OPENAI_API_KEY": "sk-stub-0000",
            "GEMINI_API_KEY": "stub-0000",
            "GOOGLE_GEMINI_BASE_URL": self.url,
        }


@pytest.fixture
def lonely() -> Iterator[tuple[str, ...]]:
    """An argv prefix that cuts a program off from every network but loopback; empty where that needs root."""
    name = f"muster-{uuid.uuid4().hex[:8]}"
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("ip"):
        yield ()
        return
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        yield ()
        return
    prefix = ("ip", "netns", "exec", name)
    try:
        subprocess.run([*prefix, "ip", "link", "set", "lo", "up"], check=True)
        yield prefix
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.fixture
async def model(lonely: tuple[str, ...]) -> AsyncIterator[StubModel]:
    """A stub model for one test."""
    process = await asyncio.create_subprocess_exec(
        *lonely, sys.executable, STUB, stdout=asyncio.subprocess.PIPE, limit=64 * 1024 * 1024
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().removeprefix("listening ").strip()
    yield StubModel(url, lonely, process)
    process.kill()
    await process.wait()


@pytest.fixture
def home(tmp_path: Path, model: StubModel) -> Path:
    """A home in which the CLIs have been set up by nobody but this test, for the stub model.

    codex gets a provider of its own, because its built-in one tries a WebSocket first; gemini its
    kind of login, without which it refuses a base URL.
    """
    folder = tmp_path / "home"
    (folder / ".gemini").mkdir(parents=True)
    login = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    (folder / ".gemini" / "settings.json").write_text(json.dumps(login))
    (folder / ".codex").mkdir()
    (folder / ".codex" / "config.toml").write_text(
        'model = "stub-model"\nmodel_provider = "stub"\n[model_providers.stub]\nname = "stub"\n'
        f'base_url = "{model.url}/v1"\nenv_key = "OPENAI_API_KEY"\nwire_api = "responses"\n'
    )
    return folder
