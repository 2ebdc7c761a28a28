#!/bin/sh
# Times an iteration of DGPO here and in Flow-Factory (github.com/X-GenGroup/Flow-Factory), in turn, and prints the ratio.
#
#     make install
#     git clone https://github.com/X-GenGroup/Flow-Factory
#     FLOW_FACTORY=Flow-Factory sh docs/check_peer.sh
#
# FLOW_FACTORY is a checkout, or what `git clone` takes. PRECISIONS="float32 bfloat16", REPEATS=5 and SAMPLES=8 are what
# is measured unless others are named. On one thread, in CPU-seconds of the process, so that it may be run beside other
# work; in bfloat16 very slow on a CPU that emulates it. What each side does is written in docs/check_peer.py.
#
# Both sides have the torch, diffusers, peft and accelerate of `.venv`. What else Flow-Factory imports is installed into
# a folder that is removed; torchvision and torchaudio, which it names and does not import here, are not.
set -eu
ROOT="$(cd "$(dirname "$0")/.." && pwd)"
HERE="$(mktemp -d)"
trap 'rm -rf "$HERE"' EXIT
trap 'exit 1' INT TERM
: "${FLOW_FACTORY:?names a checkout of Flow-Factory, or its URL}"
if [ -d "$FLOW_FACTORY" ]; then
    FLOW_FACTORY="$(cd "$FLOW_FACTORY" && pwd)"
else
    git clone --quiet "$FLOW_FACTORY" "$HERE/flow-factory"
    FLOW_FACTORY="$HERE/flow-factory"
fi
"$ROOT/.venv/bin/python" -m venv "$HERE/venv"
PYTHON="$HERE/venv/bin/python"
SITE="$("$ROOT/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
echo "import site; site.addsitedir('$SITE')" > "$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/project.pth"
"$PYTHON" -m pip install --quiet --disable-pip-version-check \
    datasets 'pyarrow<26' einops imageio protobuf sentencepiece
cd "$HERE"
"$PYTHON" "$ROOT/docs/pipeline_20m.py" sd3
OMP_NUM_THREADS=1 "$PYTHON" "$ROOT/docs/check_peer.py" "$FLOW_FACTORY"
