"""A scripted `claude`: the flags and the JSON of the real one, and a ledger of all that it was ever told.

The ledger (`FAKE_LEDGER`) has a JSON array for each start, `["start", SESSION, RESUMED]`, and for each
message, `["said", TEXT]`. What a message says decides what becomes of it:

    exit:N          exit with code N, after the answer
    die             be killed in the middle of the turn
    fail            report an error, and exit with 1 unless messages may follow
    limit:MS        fail because of a rate limit that ends at MS (epoch; 0: it is not known)
    await:FIFO      do not answer before FIFO is written to
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

__all__ = ["install"]


def install(folder: Path) -> Path:
    """Make `claude` in `folder`, to be put on a PATH. Returns its ledger."""
    folder.mkdir(parents=True, exist_ok=True)
    ledger = folder / "ledger"
    ledger.touch()
    program = folder / "claude"
    program.write_text(
        '#!/bin/sh\ncase "$1" in --version) echo "2.1.197 (Claude Code)"; exit;; esac\n'
        f'FAKE_LEDGER="{ledger}" exec "{sys.executable}" "{__file__}" "$@"\n'
    )
    program.chmod(0o755)
    return ledger


def note(*words: Any) -> None:
    with open(os.environ["FAKE_LEDGER"], "a") as file:
        file.write(json.dumps(words) + "\n")


def tell(**message: Any) -> None:
    print(json.dumps(message | {"session_id": session}), flush=True)


def option(name: str) -> str | None:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def answer(text: str, last: bool) -> None:
    """Take the turn that `text` begins."""
    note("said", text)
    tell(type="system", subtype="init", model="fake-1", tools=[])
    words = text.split()
    for word in words:
        if word.startswith("await:"):
            Path(word.removeprefix("await:")).read_bytes()
        if word == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if word.startswith("limit:"):
            until = int(word.removeprefix("limit:")) // 1000
            tell(
                type="rate_limit_event",
                rate_limit_info={
                    "status": "rejected",
                    "resetsAt": until or None,
                    "rateLimitType": "five_hour",
                },
            )
    failed = "fail" in words or any(word.startswith("limit:") for word in words)
    content = [{"type": "text", "text": f"heard {text}"}]
    if not failed:
        tell(type="assistant", message={"id": "m", "role": "assistant", "content": content, "usage": {}})
    tell(
        type="result",
        subtype="success",
        is_error=failed,
        result="it failed" if failed else f"heard {text}",
        num_turns=1,
        total_cost_usd=0.01,
        usage={},
    )
    for word in words:
        if word.startswith("exit:"):
            sys.exit(int(word.removeprefix("exit:")))
    if failed and last:
        sys.exit(1)


def converse() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "control_request":
            response = {"subtype": "success", "request_id": message["request_id"], "response": {}}
            tell(type="control_response", response=response)
        elif message["type"] == "user":
            content = message["message"]["content"]
            answer(content if isinstance(content, str) else content[0]["text"], last=False)


def main() -> None:
    note("start", session, "--resume" in sys.argv)
    if option("--input-format") == "stream-json":
        converse()
    else:
        answer(sys.stdin.read(), last=True)


session = option("--resume") or option("--session-id") or "none"
if __name__ == "__main__":
    main()
