#!/bin/sh
# huggingface_hub 2.4.0: a download into the cache that was killed starts over. `hf_hub_download` writes to
# blobs/HASH.RANDOM.incomplete, a name of its own in each process, so the same call again neither uses nor removes
# what is there: of a file of gigabytes all is sent again, and each kill leaves its part on the disk. 0.36.0 wrote to
# blobs/HASH.incomplete, and asked for the rest.
#
# Seen with Python 3.11, Linux x86-64, and a server on loopback that sends half of a file and waits, until the client
# is killed:
#
#     0.36.0: the second call asks for bytes=20971520-; parts left: 0
#     2.4.0: the second call asks for everything; parts left: 1
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/twice.py" <<'PYTHON'
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

SIZE, HALF, WRITTEN = 60_000_000, 30_000_000, 20_971_520  # in pieces of 10 MiB
CONTENT = bytes(SIZE)
asked, half_sent = [], threading.Event()


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self._head(SIZE)

    def do_GET(self):
        asked.append(self.headers.get("Range", "everything"))
        first = int(self.headers.get("Range", "bytes=0-")[6:].rstrip("-"))
        self._head(SIZE - first, 206 if first else 200)
        if len(asked) == 1:
            self.wfile.write(CONTENT[:HALF])
            self.wfile.flush()
            half_sent.set()
            time.sleep(600)
        self.wfile.write(CONTENT[first:])

    def _head(self, length, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", f'"{hashlib.sha256(CONTENT).hexdigest()}"')
        self.send_header("X-Repo-Commit", "c" * 40)
        self.end_headers()

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
server.daemon_threads = True
server.handle_error = lambda *given: None  # the client was killed
threading.Thread(target=server.serve_forever, daemon=True).start()
cache = Path(tempfile.mkdtemp())
environment = {
    **os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}", "HF_HUB_CACHE": str(cache),
    "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_XET": "1",
}  # fmt: skip
call = [sys.executable, "-c", "from huggingface_hub import hf_hub_download; hf_hub_download('org/name', 'w.bin')"]
first = subprocess.Popen(call, env=environment, stderr=subprocess.DEVNULL)
half_sent.wait()
while sum(path.stat().st_size for path in cache.rglob("*.incomplete")) < WRITTEN:
    time.sleep(0.1)
first.kill()
first.wait()
subprocess.run(call, env=environment, check=True, stderr=subprocess.DEVNULL)
left = len([*cache.rglob("*.incomplete")])
print(f"{version('huggingface_hub')}: the second call asks for {asked[1]}; parts left: {left}")
PYTHON
for release in 0.36.0 2.4.0; do
    python3 -m venv "$work/$release"
    "$work/$release/bin/pip" install --quiet --disable-pip-version-check "huggingface_hub==$release"
    timeout 300 "$work/$release/bin/python" "$work/twice.py" | tee -a "$work/seen"
done
grep '^#     [02]\.' "$0" | sed 's/^#     //' | diff - "$work/seen"
