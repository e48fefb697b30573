"""What `stub_llm.py` answers, in the words of four APIs: pure, apart from the pauses of SLOW."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from stub_directives import Answer, Json, Turn, flat


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
            "usage": {
                "input_tokens": answer.tokens_in - answer.tokens_cached,
                "cache_read_input_tokens": answer.tokens_cached,
                "output_tokens": answer.tokens_out,
            },
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
        yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": answer.tokens_out}}
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
            "usage": {
                "input_tokens": answer.tokens_in,
                "input_tokens_details": {"cached_tokens": answer.tokens_cached},
                "output_tokens": answer.tokens_out,
                "total_tokens": answer.tokens_in + answer.tokens_out,
            },
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

    def _response(self, body: Json, answer: Answer, part: Json, reason: str | None) -> Json:
        candidate: Json = {"content": {"role": "model", "parts": [part]}, "index": 0}
        if reason:
            candidate["finishReason"] = reason
        usage = {
            "promptTokenCount": answer.tokens_in,
            "cachedContentTokenCount": answer.tokens_cached,
            "candidatesTokenCount": answer.tokens_out,
            "totalTokenCount": answer.tokens_in + answer.tokens_out,
        }
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": body.get("model")}

    def whole(self, body: Json, answer: Answer) -> Json:
        part: Json = {"text": answer.text}
        if answer.tool:
            part = {"functionCall": {"name": answer.tool, "args": answer.arguments}}
        return self._response(body, answer, part, "STOP")

    def events(self, body: Json, answer: Answer) -> Iterator[Json]:
        if answer.tool:
            yield self.whole(body, answer)
            return
        for piece in answer.pieces():
            yield self._response(body, answer, {"text": piece}, None)
        yield self._response(body, answer, {"text": ""}, "STOP")


class Chat:
    """`POST /v1/chat/completions`."""

    name = "chat"

    def turns(self, body: Json) -> Iterator[Turn]:
        for message in body.get("messages", []):
            yield Turn(message.get("role", ""), flat(message.get("content")))

    def tools(self, body: Json) -> list[str]:
        return [tool.get("function", {}).get("name", "") for tool in body.get("tools") or []]

    def _base(self, body: Json, kind: str) -> Json:
        number = time.time_ns()
        created = number // 10**9
        return {"id": f"chatcmpl-{number}", "object": kind, "created": created, "model": body.get("model")}

    def _usage(self, answer: Answer) -> Json:
        return {
            "prompt_tokens": answer.tokens_in,
            "prompt_tokens_details": {"cached_tokens": answer.tokens_cached},
            "completion_tokens": answer.tokens_out,
            "total_tokens": answer.tokens_in + answer.tokens_out,
        }

    def _message(self, answer: Answer) -> Json:
        if not answer.tool:
            return {"role": "assistant", "content": answer.text}
        function = {"name": answer.tool, "arguments": json.dumps(answer.arguments)}
        call = {"index": 0, "id": f"call_{time.time_ns()}", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    def whole(self, body: Json, answer: Answer) -> Json:
        reason = "tool_calls" if answer.tool else "stop"
        choice = {"index": 0, "message": self._message(answer), "finish_reason": reason}
        return self._base(body, "chat.completion") | {"choices": [choice], "usage": self._usage(answer)}

    def events(self, body: Json, answer: Answer) -> Iterator[Json]:
        base = self._base(body, "chat.completion.chunk")

        def chunk(delta: Json, reason: str | None = None) -> Json:
            return base | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

        yield chunk(self._message(answer) if answer.tool else {"role": "assistant", "content": ""})
        for piece in answer.pieces():
            yield chunk({"content": piece})
        yield chunk({}, "tool_calls" if answer.tool else "stop")
        yield base | {"choices": [], "usage": self._usage(answer)}


Api = Anthropic | OpenAI | Gemini | Chat


def find_api(path: str) -> Api | None:
    """The API that answers a POST to `path`; None if that reaches no model."""
    if path.endswith("/messages"):
        return Anthropic()
    if path.endswith("/responses"):
        return OpenAI()
    if path.endswith("/chat/completions"):
        return Chat()
    return Gemini() if path.endswith("enerateContent") else None
