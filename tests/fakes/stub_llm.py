"""A language model that says what the prompt tells it to, for real CLIs: loopback, stdlib only.

    python stub_llm.py [--port N]

The first line on stdout is `listening http://127.0.0.1:PORT`; then comes one JSON object for each
request that reached a model: `{api, model, tools, users, answer}`, so a test can wait for it. Spoken are
Anthropic Messages, OpenAI Responses, OpenAI chat completions and Gemini generateContent, streamed or whole.

Directives in the last user text that holds any (several may be combined):
    NONCE=x               the answer is `PONG x`
    SAY=<<text>>SAY       the answer is this text instead
    RUN=<<command>>       first one call of the client's shell tool, then `PONG x TOOL=<its output>`
    TOOL=<<name {json}>>  the same with that tool; several RUN and TOOL are called one after the other
    SLOW=seconds          the answer is streamed over that time
    FAIL=status           an HTTP error instead of an answer; FAIL=status*n only the first n times
    RETRY-AFTER=seconds   with FAIL: headers that say when to try again
    USAGE=in,out,cached   the tokens that the answer is said to have taken (default 11,7,0)
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stub_apis import Api, Chat, Gemini, find_api
from stub_directives import Answer, Json, Turn, decide

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    printing = threading.Lock()
    failed: collections.Counter[str] = collections.Counter()

    def log_message(self, format: str, *args: object) -> None:
        """Stdout is for the requests that reached a model."""

    def _body(self) -> Json:
        data = b""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        value = json.loads(data or b"{}")
        return value if isinstance(value, dict) else {}

    def _json(self, value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _stream(self, events: Iterator[Json], last: bytes = b"") -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            name = f"event: {event['type']}\n" if "type" in event else ""
            data = f"{name}data: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        if last:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(last), last))
        self.wfile.write(b"0\r\n\r\n")

    def do_HEAD(self) -> None:
        self._json({})

    def do_GET(self) -> None:
        models = [{"id": "stub-model", "object": "model", "created": 0, "owned_by": "stub"}]
        self._json({"object": "list", "data": models, "models": []})

    def do_POST(self) -> None:
        path, body = self.path.split("?")[0], self._body()
        api = find_api(path)
        if api is None:
            known = path.endswith(("/count_tokens", ":countTokens"))
            self._json({"input_tokens": 11, "totalTokens": 11}, 200 if known else 404)
            return
        if isinstance(api, Gemini):
            body["model"] = path.rpartition("/")[2].partition(":")[0]
        turns, tools = list(api.turns(body)), api.tools(body)
        answer = decide(turns, tools)
        self._tell(api, body, turns, tools, answer)
        try:
            if answer.fail and self._fails(answer):
                self._fail(answer)
            elif body.get("stream") or "stream" in path:
                self._stream(api.events(body, answer), b"data: [DONE]\n\n" if isinstance(api, Chat) else b"")
            else:
                self._json(api.whole(body, answer))
        except ConnectionError:
            self.close_connection = True  # the client was stopped in the middle of its turn

    def _fails(self, answer: Answer) -> bool:
        self.failed[answer.asked] += 1
        return self.failed[answer.asked] <= answer.fails

    def _fail(self, answer: Answer) -> None:
        kind = ERRORS.get(answer.fail, "api_error")
        error = {"type": kind, "code": answer.fail, "message": "stub failure", "status": "STUB"}
        headers = {}
        if answer.retry_after:
            reset = str(int(time.time()) + int(answer.retry_after))
            headers = {"retry-after": answer.retry_after, "anthropic-ratelimit-unified-reset": reset}
            headers["x-ratelimit-reset-requests"] = f"{answer.retry_after}s"
        self._json({"type": "error", "error": error}, answer.fail, headers)

    def _tell(self, api: Api, body: Json, turns: list[Turn], tools: list[str], answer: Answer) -> None:
        users = [turn.text for turn in turns if turn.role == "user"]
        seen = {"api": api.name, "model": body.get("model"), "tools": tools, "users": users}
        with self.printing:
            print(json.dumps(seen | {"answer": answer.tool or answer.text}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="a language model that says what it is told to")
    parser.add_argument("--port", type=int, default=0)
    server = ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Handler)
    server.daemon_threads = True
    print(f"listening http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
