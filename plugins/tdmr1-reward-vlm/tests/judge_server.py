"""A scripted judge: a server program that speaks the chat completions protocol on loopback.

    python judge_server.py [PORT]

prints its port. What it does is the name of the model that it is asked for, or what a prompt says
after "do: "; that with "-after-3" behind it, as "bright" from the fourth time on. As "bright" it
judges how bright the picture is, in log-probabilities, and in numbers where the request has a
schema. GET tells what it was asked so far.
"""

import base64
import collections
import http.server
import io
import json
import math
import os
import re
import sys
import threading
import time

import PIL.Image
import PIL.ImageStat

HUNG = 30.0
"""Seconds."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address):
        super().__init__(address, Handler)
        self.lock = threading.Lock()
        self.asked = collections.Counter()  # by script
        self.busy, self.most = 0, 0  # requests of "busy" under way, and the most there ever were

    def handle_error(self, request, client_address):
        """Quiet: a client that gives up is part of the tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.reply({"most": self.server.most, "asked": self.server.asked})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        picture, text = request["messages"][0]["content"]
        told = re.search(r"do: ([a-z0-9-]+)", text["text"])
        script = told[1] if told else request["model"]
        with self.server.lock:
            self.server.asked[script] += 1
            count = self.server.asked[script]
        name, _, number = script.partition("-after-")
        if number and count > int(number):
            name = "bright"
        getattr(self, name.replace("-", "_"))(request, brightness(picture))

    def bright(self, request, value):
        if "response_format" in request:
            self.rated(request, value)
        elif request.get("logprobs"):
            chances = {" Yes": 0.9 * value, "yes": 0.1 * value, "No": 1 - value, "The": 1e-3}
            self.says("Yes" if value > 0.5 else "No", chances)
        else:
            self.says("yes")

    def rated(self, request, value):
        schema = request["response_format"]["json_schema"]["schema"]["properties"]
        answer = {
            name: value * (of["maximum"] - of["minimum"]) + of["minimum"]
            for name, of in schema.items()
            if of["type"] == "number"
        }
        self.says(json.dumps({"reason": "its light", **answer}))

    def no_logprobs(self, request, value):
        self.bright({**request, "logprobs": False}, value)

    def refuses_logprobs(self, request, value):
        if "logprobs" in request:
            self.fails(400, "logprobs is not supported with this model")
        else:
            self.bright(request, value)

    def busy(self, request, value):
        with self.server.lock:
            self.server.busy += 1
            self.server.most = max(self.server.most, self.server.busy)
        time.sleep(0.05)
        with self.server.lock:
            self.server.busy -= 1
        self.bright(request, value)

    def blind(self, request, value):
        self.bright(request, 0.25)

    def thinks(self, request, value):
        self.says("<think>", {"<think>": 0.999, "Yes": 5e-4})

    def prose(self, request, value):
        self.says("What a lovely picture.", {"What": 0.9, "Yes": 0.05})

    def cut_off(self, request, value):
        self.says('{"reason": "its li', finish="length")

    def wrong_scale(self, request, value):
        self.says('{"reason": "", "score": 85, "alignment": 85, "coherence": 1, "style": 1}')

    def nameless(self, request, value):
        self.says('{"reason": "no number here"}')

    def refuses(self, request, value):
        self.reply({"choices": [{"message": {"content": None, "refusal": "I will not"}}]})

    def fewer(self, request, value):
        self.reply({"choices": []})

    def html(self, request, value):
        self.send(200, b"<html>welcome to the gateway</html>", "text/html")

    def garbled(self, request, value):
        self.send(200, b'\xff\x00{"choices": [{')

    def odd(self, request, value):
        self.reply({"choices": [{"message": {"content": ["yes"]}}]})

    def cut(self, request, value):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"choices"')
        self.close_connection = True

    def slow(self, request, value):
        time.sleep(HUNG)

    def trickles(self, request, value):
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        for _ in range(600):
            self.wfile.write(b" ")
            time.sleep(0.05)

    def dies(self, request, value):
        os._exit(1)

    def limited(self, request, value):
        self.fails(429, "too many requests")

    def down(self, request, value):
        self.fails(503, "the model is loading")

    def locked(self, request, value):
        self.fails(401, f"no such key: {self.headers['Authorization']}")

    def echoes(self, request, value):
        self.says(f"your key is {self.headers['Authorization']}")

    def unknown(self, request, value):
        self.fails(404, f"there is no model {request['model']}")

    def plain(self, request, value):
        """As a server that knows neither fields nor a temperature of 0."""
        names = sorted(request)
        if names != ["max_completion_tokens", "messages", "model", "response_format"]:
            return self.fails(400, f"unknown fields among {names}")
        self.bright(request, value)

    def says(self, text, chances=None, finish="stop"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}}
        if chances is not None:
            tokens = [
                {"token": token, "logprob": math.log(chance) if chance else -9999.0, "bytes": None}
                for token, chance in sorted(chances.items(), key=lambda pair: -pair[1])
            ]
            choice["logprobs"] = {"content": [{**tokens[0], "top_logprobs": tokens}]}
        self.reply({"object": "chat.completion", "choices": [{**choice, "finish_reason": finish}]})

    def reply(self, answer):
        self.send(200, json.dumps(answer).encode())

    def fails(self, status, text):
        self.send(status, json.dumps({"error": {"message": text}}).encode())

    def send(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("retry-after-ms", "5")
        self.end_headers()
        self.wfile.write(body)


def brightness(picture):
    """Of the picture in a request, in [0, 1]."""
    kind, _, data = picture["image_url"]["url"].partition(",")
    assert kind == "data:image/png;base64"
    image = PIL.Image.open(io.BytesIO(base64.b64decode(data))).convert("L")
    assert min(image.size) >= 1
    return PIL.ImageStat.Stat(image).mean[0] / 255


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = Server(("127.0.0.1", port))
    print(server.server_address[1], flush=True)
    server.serve_forever()
