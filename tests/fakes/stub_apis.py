"""What `stub_llm.py` answers, in the words of three APIs: pure, apart from the pauses of SLOW."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

SHELL_TOOLS = {  # what each CLI calls its shell tool, and the arguments it takes
    "Bash": "command",  # claude
    "run_shell_command": "command",  # gemini
    "exec_command": "cmd",  # codex
    "shell_command": "command",  # codex, older
}
DIRECTIVE = re.compile(r"(?:NONCE|RUN|SLOW|FAIL)=")


@dataclass(frozen=True)
class Turn:
    """`role` is user, assistant or tool (a tool's output)."""

    role: str
    text: str


@dataclass(frozen=True)
class Answer:
    text: str = ""
    tool: str | None = None
    arguments: Json | None = None
    slow: float = 0.0
    fail: int = 0

    def pieces(self) -> Iterator[str]:
        """The text in four pieces over `slow` seconds, or in one at once."""
        count = 4 if self.slow else 1
        size = -(-len(self.text) // count) or 1
        for start in range(0, len(self.text), size):
            time.sleep(self.slow / count)
            yield self.text[start : start + size]


def decide(turns: list[Turn], tools: list[str]) -> Answer:
    """Obey the last user text with a directive; side calls (titles, summaries) have none and get `ok`."""
    asked = [i for i, turn in enumerate(turns) if turn.role == "user" and DIRECTIVE.search(turn.text)]
    if not asked:
        return Answer(text="ok")
    text = turns[asked[-1]].text

    def said(pattern: str, otherwise: str) -> str:
        found = re.search(pattern, text, re.DOTALL)
        return found[1] if found else otherwise

    slow, fail = float(said(r"SLOW=([\d.]+)", "0")), int(said(r"FAIL=(\d{3})", "0"))
    outputs = [turn.text for turn in turns[asked[-1] :] if turn.role == "tool"]
    command = said(r"RUN=<<(.*?)>>", "")
    tool = next((name for name in SHELL_TOOLS if name in tools), None)
    if command and tool and not outputs:
        return Answer(tool=tool, arguments={SHELL_TOOLS[tool]: command, "description": "stub"}, fail=fail)
    pong = "PONG " + said(r"NONCE=([\w.-]+)", "none")
    if outputs:
        pong += " TOOL=" + " ".join(outputs[-1].split())[-200:]
    return Answer(text=pong, slow=slow, fail=fail)


def flat(content: Any) -> str:
    """The text somewhere inside of `content`."""
    match content:
        case str():
            return content
        case list():
            return "\n".join(flat(part) for part in content)
        case dict():
            keys = ("text", "content", "output", "parts", "response")
            return next((flat(content[key]) for key in keys if key in content), json.dumps(content))
        case _:
            return ""


class Anthropic:
    """`POST /v1/messages`."""

    name = "anthropic"

    def turns(self, body: Json) -> Iterator[Turn]:
        for message in body.get("messages", []):
            content = message["content"]
            for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                if part.get("type") == "tool_result":
                    yield Turn("tool", flat(part.get("content")))
                elif part.get("type") == "text":
                    yield Turn(message["role"], part["text"])

    def tools(self, body: Json) -> list[str]:
        return [tool.get("name", "") for tool in body.get("tools", [])]

    def whole(self, body: Json, answer: Answer) -> Json:
        block: Json = {"type": "text", "text": answer.text}
        if answer.tool:
            block = {"type": "tool_use", "id": f"toolu_{time.time_ns()}", "name": answer.tool}
            block["input"] = answer.arguments
        return {
            "id": f"msg_{time.time_ns()}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model"),
            "content": [block],
            "stop_reason": "tool_use" if answer.tool else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 11, "output_tokens": 7},
        }

    def events(self, body: Json, answer: Answer) -> Iterator[Json]:
        message = self.whole(body, answer)
        block = message["content"][0]
        empty = {**block, "input": {}} if answer.tool else {"type": "text", "text": ""}
        yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}
        yield {"type": "content_block_start", "index": 0, "content_block": empty}
        if answer.tool:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(answer.arguments)}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
        for piece in answer.pieces():
            delta = {"type": "text_delta", "text": piece}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 7}}
        yield {"type": "message_stop"}


class OpenAI:
    """`POST /v1/responses`."""

    name = "openai"

    def turns(self, body: Json) -> Iterator[Turn]:
        items = body.get("input", [])
        for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
            if "role" in item:
                yield Turn(item["role"], flat(item.get("content")))
            elif str(item.get("type")).endswith("_output"):
                yield Turn("tool", flat(item.get("output")))

    def tools(self, body: Json) -> list[str]:
        return [tool.get("name") or tool.get("type", "") for tool in body.get("tools", [])]

    def whole(self, body: Json, answer: Answer) -> Json:
        number = time.time_ns()
        item: Json = {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed"}
        item["content"] = [{"type": "output_text", "text": answer.text, "annotations": []}]
        if answer.tool:
            item = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}"}
            item |= {"name": answer.tool, "arguments": json.dumps(answer.arguments), "status": "completed"}
        return {
            "id": f"resp_{number}",
            "object": "response",
            "created_at": number // 10**9,
            "status": "completed",
            "model": body.get("model"),
            "output": [item],
            "usage": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18},
        }

    def events(self, body: Json, answer: Answer) -> Iterator[Json]:
        response = self.whole(body, answer)
        item = response["output"][0]
        unfinished: Json = {"status": "in_progress", "output": [], "usage": None}
        yield {"type": "response.created", "response": {**response, **unfinished}}
        at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        empty = {**item, "status": "in_progress"} | ({} if answer.tool else {"content": []})
        yield {"type": "response.output_item.added", "output_index": 0, "item": empty}
        for piece in answer.pieces():
            yield {"type": "response.output_text.delta", **at, "delta": piece}
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        yield {"type": "response.completed", "response": response}


class Gemini:
    """`POST …/models/NAME:generateContent` and `:streamGenerateContent`."""

    name = "gemini"

    def turns(self, body: Json) -> Iterator[Turn]:
        for content in body.get("contents", []):
            for part in content.get("parts", []):
                if "functionResponse" in part:
                    yield Turn("tool", flat(part["functionResponse"].get("response")))
                elif "text" in part:
                    yield Turn("assistant" if content.get("role") == "model" else "user", part["text"])

    def tools(self, body: Json) -> list[str]:
        declared = [tool.get("functionDeclarations", []) for tool in body.get("tools") or []]
        return [function["name"] for functions in declared for function in functions]

    def _response(self, body: Json, part: Json, reason: str | None) -> Json:
        candidate: Json = {"content": {"role": "model", "parts": [part]}, "index": 0}
        if reason:
            candidate["finishReason"] = reason
        usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": body.get("model")}

    def whole(self, body: Json, answer: Answer) -> Json:
        part: Json = {"text": answer.text}
        if answer.tool:
            part = {"functionCall": {"name": answer.tool, "args": answer.arguments}}
        return self._response(body, part, "STOP")

    def events(self, body: Json, answer: Answer) -> Iterator[Json]:
        if answer.tool:
            yield self.whole(body, answer)
            return
        for piece in answer.pieces():
            yield self._response(body, {"text": piece}, None)
        yield self._response(body, {"text": ""}, "STOP")


Api = Anthropic | OpenAI | Gemini


def find_api(path: str) -> Api | None:
    """The API that answers a POST to `path`; None if that reaches no model."""
    if path.endswith("/messages"):
        return Anthropic()
    if path.endswith("/responses"):
        return OpenAI()
    return Gemini() if path.endswith("enerateContent") else None
