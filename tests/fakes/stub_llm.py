"""A language model that says what the prompt tells it to, for real CLIs: loopback, stdlib only.

    python stub_llm.py [--port N]

The first line on stdout is `listening http://127.0.0.1:PORT`; then comes one JSON object for each
request that reached a model: `{api, model, tools, users, answer}`, so a test can wait for it. Spoken are
Anthropic Messages, OpenAI Responses and Gemini generateContent, streamed or whole.

Directives in the last user text that holds any (several may be combined):
    NONCE=x          the answer is `PONG x`
    RUN=<<command>>  first one call of the client's shell tool, then `PONG x TOOL=<its output>`
    SLOW=seconds     the answer is streamed over that time
    FAIL=status      an HTTP error instead of an answer
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stub_apis import Answer, Api, Gemini, Json, Turn, decide, find_api


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    printing = threading.Lock()

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

    def _json(self, value: Json, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _stream(self, events: Iterator[Json]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            name = f"event: {event['type']}\n" if "type" in event else ""
            data = f"{name}data: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
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
            if answer.fail:
                error = {
                    "type": "api_error",
                    "code": answer.fail,
                    "message": "stub failure",
                    "status": "STUB",
                }
                self._json({"type": "error", "error": error}, answer.fail)
            elif body.get("stream") or "stream" in path:
                self._stream(api.events(body, answer))
            else:
                self._json(api.whole(body, answer))
        except ConnectionError:
            self.close_connection = True  # the client was stopped in the middle of its turn

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
