"""Fixtures for real CLIs: a stub model, an empty home, and where root allows it no way out of the machine."""

from __future__ import annotations

import ctypes
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

__all__ = ["StubModel", "home", "lonely", "model"]

STUB = str(Path(__file__).with_name("stub_llm.py"))
CLONE_NEWNET = 0x40000000
"""From linux/sched.h; Python names it from 3.12 on."""


class StubModel:
    """A running `stub_llm.py`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, STUB], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().removeprefix("listening ").strip()
        self._requests: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._requests.put(json.loads(line))

    def request(self, timeout_s: float = 30.0) -> dict[str, Any]:
        """The next request that reached the model (see `stub_llm.py`); blocks until there is one."""
        return self._requests.get(timeout=timeout_s)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def environment(self, home: Path) -> dict[str, str]:
        """What the CLIs need to talk to it, beside PATH. The keys are no keys."""
        return {
            "HOME": str(home),
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": "sk-ant-stub-0000",
            "CLAUDE_CODE_MAX_RETRIES": "0",
            "OPENAI_API_KEY": "sk-stub-0000",
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_BASE": f"{self.url}/v1",
            "OPENAI_MODEL": "stub-model",
            "AIDER_MODEL": "openai/stub-model",
            "COPILOT_OFFLINE": "true",
            "COPILOT_PROVIDER_BASE_URL": f"{self.url}/v1",
            "COPILOT_PROVIDER_API_KEY": "stub-0000",
            "COPILOT_MODEL": "gpt-5.4",
            "GEMINI_API_KEY": "stub-0000",
            "GOOGLE_GEMINI_BASE_URL": self.url,
        }


@pytest.fixture
def lonely() -> Iterator[None]:
    """Cut this thread, and every program it starts, off from all networks but loopback.

    Only where that is possible (root on Linux); elsewhere the test runs with the network as it is.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        before = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        if not hasattr(libc, "unshare") or libc.unshare(CLONE_NEWNET) != 0:
            yield
            return
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            assert libc.setns(before, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(before)


@pytest.fixture
def model(lonely: None) -> Iterator[StubModel]:
    """A stub model for one test."""
    stub = StubModel()
    yield stub
    stub.close()


@pytest.fixture
def home(tmp_path: Path, model: StubModel) -> Path:
    """A home in which the CLIs have been set up by nobody but this test, for the stub model.

    codex gets a provider of its own, because its built-in one tries a WebSocket first; gemini its
    kind of login, without which it refuses a base URL, and a model, because `auto` asks another one
    which to take; qwen its kind of login and a model; opencode a provider of the API it speaks best.
    copilot and aider are set up by their environment alone.
    """
    folder = tmp_path / "home"
    _opencode(folder / ".config" / "opencode" / "opencode.json", model.url)
    (folder / ".qwen").mkdir()
    openai = {"security": {"auth": {"selectedType": "openai"}}, "model": {"name": "stub-model"}}
    (folder / ".qwen" / "settings.json").write_text(json.dumps(openai))
    (folder / ".gemini").mkdir()
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "model": {"name": "gemini-2.5-flash"},
    }
    (folder / ".gemini" / "settings.json").write_text(json.dumps(settings))
    (folder / ".codex").mkdir()
    (folder / ".codex" / "config.toml").write_text(
        'model = "stub-model"\nmodel_provider = "stub"\n[model_providers.stub]\nname = "stub"\n'
        f'base_url = "{model.url}/v1"\nenv_key = "OPENAI_API_KEY"\nwire_api = "responses"\n'
    )
    return folder


def _opencode(path: Path, url: str) -> None:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "stub",
        "options": {"baseURL": f"{url}/v1", "apiKey": "stub-0000"},
        "models": {"stub-model": {"name": "stub-model", "limit": {"context": 100_000, "output": 10_000}}},
    }
    path.parent.mkdir(parents=True)
    config = {"$schema": "https://opencode.ai/config.json", "model": "stub/stub-model"}
    path.write_text(json.dumps(config | {"provider": {"stub": provider}}))
