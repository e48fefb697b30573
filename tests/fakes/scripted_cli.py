"""A scripted AI CLI that no adapter knows: `scripted.toml` beside it is all that Muster is told of it.

    scripted_cli.py --version
    scripted_cli.py run [--events] [--model M] [--session ID | --resume ID] [--level L]    a prompt on stdin
    scripted_cli.py serve [--level L]                                                      ACP
    scripted_cli.py [--level L] [--begin PROMPT]                                           a screen (`tui.py`)

Its model does what the prompt says: `TOUCH=path` makes that file with a tool, asking first over ACP in
level `ask` and refused in level `look`; `FAIL=words` fails; `WAIT` goes on until it is interrupted. It
answers with the number of prompts of the session so far, the model and the last word. Sessions are kept
in the folder SCRIPTED_HOME. Without SCRIPTED_KEY it says that nobody is logged in.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

ARGS = sys.argv[1:]
HOME = Path(os.environ.get("SCRIPTED_HOME", "."))


def option(name: str, default: str = "") -> str:
    return ARGS[ARGS.index(name) + 1] if name in ARGS else default


LEVEL = option("--level", "ask")


def say(message: object) -> None:
    print(message if isinstance(message, str) else json.dumps(message), flush=True)


def remember(session: str, prompt: str) -> int:
    """Keep `prompt` and return how many there are."""
    with open(HOME / session, "a+") as file:
        file.write(json.dumps(prompt) + "\n")
        file.seek(0)
        return len(file.readlines())


def word_after(key: str, prompt: str) -> str | None:
    _, found, rest = prompt.partition(key)
    return rest.split("\n")[0] if found else None


def answer(session: str, prompt: str, model: str) -> str:
    return f"{remember(session, prompt)} {model} {prompt.rsplit(maxsplit=1)[-1]}"


def touch(path: str, allowed: bool) -> bool:
    if allowed:
        Path(path).touch()
    return allowed


# -- one prompt


def run() -> int:
    prompt, model = sys.stdin.read(), option("--model", "small")
    session = option("--resume") or option("--session", "s-none")
    if "--resume" in ARGS and not (HOME / session).exists():
        say(f"error: there is no session {session}")
        return 0
    if "SCRIPTED_KEY" not in os.environ:
        say("error: not logged in; set SCRIPTED_KEY")
        return 0  # as some of them do
    emit = Events(session, model) if "--events" in ARGS else Plain(session)
    emit.begin()
    path = word_after("TOUCH=", prompt)
    if path is not None:
        emit.tool(path, touch(path, LEVEL == "all"))
    if "WAIT" in prompt:
        while True:
            sys.stdin.read()
            os.read(os.pipe()[0], 1)
    failure = word_after("FAIL=", prompt)
    emit.end(answer(session, prompt, model), failure)
    return 0


class Plain:
    def __init__(self, session: str) -> None:
        self.session = session

    def begin(self) -> None:
        say(f"session: {self.session}")

    def tool(self, path: str, done: bool) -> None:
        say(f"~ touch {path}: {'done' if done else 'denied'}")

    def end(self, text: str, failure: str | None) -> None:
        say(f"error: {failure}" if failure else text)


class Events(Plain):
    def __init__(self, session: str, model: str) -> None:
        super().__init__(session)
        self.model = model

    def begin(self) -> None:
        say({"type": "system", "subtype": "init", "session_id": self.session, "model": self.model})

    def tool(self, path: str, done: bool) -> None:
        call = {"type": "tool_use", "id": "t-1", "name": "touch", "input": {"path": path}}
        say({"type": "assistant", "message": {"id": "m-1", "content": [call]}})
        result = {"type": "tool_result", "tool_use_id": "t-1", "is_error": not done}
        say({"type": "user", "message": {"content": [result]}})

    def end(self, text: str, failure: str | None) -> None:
        said = {"id": "m-2", "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 11}}
        say({"type": "assistant", "message": said})
        done = {"type": "result", "subtype": "success", "is_error": bool(failure), "result": failure or text}
        say({**done, "total_cost_usd": 0.25, "usage": {"input_tokens": 11, "output_tokens": 7}})


# -- the Agent Client Protocol


class Agent:
    """Takes one message after the other; what it waits for is a message too."""

    def __init__(self) -> None:
        self.session = ""
        self.model = "small"
        self.prompting: Any = None
        self.path = ""

    def take(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method is None:
            self.decided(message.get("result", {}).get("outcome", {}))
        elif method == "initialize":
            self.reply(message, {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}})
        elif method == "session/new":
            self.session = f"s-{os.getpid()}"
            self.reply(message, {"sessionId": self.session})
        elif method == "session/load":
            self.session = params["sessionId"]
            self.reply(message, {})
        elif method == "session/prompt":
            self.prompting = message
            self.prompt(params["prompt"][0]["text"])
        elif method == "session/cancel":
            self.end("cancelled")
        else:
            say({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "unknown"}})

    def prompt(self, text: str) -> None:
        path = word_after("TOUCH=", text)
        if path is not None and LEVEL == "ask":
            self.path = path
            call = {"toolCallId": "t-1", "kind": "edit", "title": f"touch {path}", "rawInput": {"path": path}}
            options = [
                {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
                {"optionId": "no", "name": "No", "kind": "reject_once"},
            ]
            params = {"sessionId": self.session, "toolCall": call, "options": options}
            say({"jsonrpc": "2.0", "id": 1, "method": "session/request_permission", "params": params})
        elif "WAIT" not in text:
            self.settle(path, LEVEL == "all")

    def decided(self, outcome: dict[str, Any]) -> None:
        if outcome.get("outcome") == "selected":
            self.settle(self.path, outcome["optionId"] == "yes")

    def settle(self, path: str | None, allowed: bool) -> None:
        if path is not None:
            status = "completed" if touch(path, allowed) else "failed"
            self.update({"sessionUpdate": "tool_call", "toolCallId": "t-1", "kind": "edit", "status": status})
        text = answer(self.session, self.prompting["params"]["prompt"][0]["text"], self.model)
        self.update({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})
        self.end("end_turn")

    def end(self, reason: str) -> None:
        if self.prompting is not None:
            self.reply(self.prompting, {"stopReason": reason})
            self.prompting = None

    def update(self, update: dict[str, Any]) -> None:
        params = {"sessionId": self.session, "update": update}
        say({"jsonrpc": "2.0", "method": "session/update", "params": params})

    def reply(self, message: dict[str, Any], result: dict[str, Any]) -> None:
        say({"jsonrpc": "2.0", "id": message["id"], "result": result})


def serve() -> int:
    agent = Agent()
    for line in sys.stdin:
        agent.take(json.loads(line))
    return 0


def interface() -> None:
    words = os.environ.get("SCRIPTED_WORDS", "paste works").split()
    program = str(Path(__file__).with_name("tui.py"))
    os.execv(sys.executable, [sys.executable, "-I", "-S", program, *words])


if "--version" in ARGS:
    say("scripted 1.0")
elif ARGS[:1] == ["run"]:
    sys.exit(run())
elif ARGS[:1] == ["serve"]:
    sys.exit(serve())
else:
    interface()
