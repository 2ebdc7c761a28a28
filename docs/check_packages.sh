#!/bin/sh
# Installs the package of each reward alone beside the base, from wheels, in an environment of its own, and uses
# its rewards: `tdmr1 rewards list --verify`, `info`, and `check`, the conformance kit.
#
#     sh docs/check_packages.sh              # all packages; or name some: ... ocr geneval 'geneval[mask2former]'
#
# Rewards of learnt weights are checked with small random ones in the published layouts, and `vlm` with a scripted judge,
# which likes light: none of them can tell golden images apart. One that needs people is listed and described. Fails if
# anything else of that does, if looking around imports torch, or if torch is there and the package does not require it.
# Needs pip and 5 GB of disk; WORK=FOLDER keeps the environments for another time.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
WORK=${WORK:-$(mktemp -d)}
mkdir -p "$WORK"
cd "$WORK"
export OMP_NUM_THREADS=1 PIP_DISABLE_PIP_VERSION_CHECK=1 HF_HUB_CACHE="$WORK/hub" TDMR1_HOME="$WORK/home"
rm -rf source wheels
mkdir source wheels
(cd "$ROOT" && git ls-files -z | xargs -0 tar cf -) | tar xf - -C source
if [ ! -x build/bin/python ]; then
    python3 -m venv build
    build/bin/pip install --quiet --constraint "$ROOT/constraints.txt" setuptools
fi
build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels ./source ./source/plugins/tdmr1-reward-*

cat > use.py <<'PYTHON'
"""Uses the rewards of one package; prints what it finds, and fails if that is not as it should be."""
import atexit
import json
import subprocess
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

PACKAGE, _, EXTRAS = sys.argv[1].partition("[")
JUDGE = Path("source/plugins/tdmr1-reward-vlm/tests/judge_server.py")
"""Speaks the protocol of OpenAI's servers; in its own words."""
SMALL = {
    "clipscore": "from tdmr1.rewards.models.small_clip import *; given = {'model': write_small_clip(folder)}",
    "pickscore": "from tdmr1.rewards.models.small_clip import *; given = {'model': write_small_clip(folder)}",
    "hpsv2": "from tdmr1.rewards.models.small_clip import *; given = {'model': write_small_vit_h(folder / 'h.pt'),"
    " 'tokenizer': write_small_tokenizer(folder)}",
    "aesthetic": "from tdmr1.rewards.models.small_clip import *; from tdmr1.rewards.models.linear_head import LAYERS;"
    " import torch; sizes = (EMBEDDING, 12, 8, 6, 4, 1); torch.save({f'layers.{n}.{kind}': torch.randn(shape)"
    " for n, a, b in zip(LAYERS, sizes, sizes[1:]) for kind, shape in (('weight', (b, a)), ('bias', (b,)))},"
    " folder / 'head.pth'); given = {'model': write_small_clip(folder), 'head': folder / 'head.pth'}",
    "hpsv3": "from tdmr1_reward_hpsv3.small import *;"
    " given = {**write_small_hpsv3(folder), 'device': 'cpu', 'dtype': 'float32'}",
    "imagereward": "from tdmr1_reward_imagereward.small import *; given = write_small_imagereward(folder)",
}
"""Of rewards whose weights are learnt: the code that writes small ones, and the options that name them."""
if "mask2former" in EXTRAS:
    SMALL["geneval"] = (
        "from tdmr1.rewards.models.small_clip import *; from tdmr1_reward_geneval.small_mask2former import *;"
        " given = {'weights': write_small_mask2former(folder / 'm'), 'detector': 'mask2former',"
        " 'color_weights': write_small_clip(folder / 'c'), 'input_size': 64}"
    )
WRITE = "import json, sys; from pathlib import Path; folder = Path(sys.argv[1]); folder.mkdir(parents=True); "
SHOW = "; print(json.dumps({name: str(value) for name, value in given.items()}))"
LOOK = "import atexit, sys; from tdmr1.cli import main;"
LOOK += "atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); main()"
failed = False


def report(what, right, text=""):
    global failed
    print(f"{sys.argv[1]}: {what}: {'right' if right else 'WRONG'} {text}".rstrip(), flush=True)
    failed |= not right


def run(*command):
    return subprocess.run([sys.executable, "-I", *command], capture_output=True, text=True)


def tdmr1(*command):
    return run("-c", "from tdmr1.cli import main; main()", *command)


brought = distribution(f"tdmr1-reward-{PACKAGE}")
names = sorted(entry.name for entry in brought.entry_points if entry.group == "tdmr1.rewards")
requires = [line for line in brought.requires or () if "extra ==" not in line or EXTRAS]
needs_torch = any(line.startswith("torch") for line in requires)
has_torch = find_spec("torch") is not None
report("has torch" if has_torch else "has no torch", has_torch == needs_torch)

listed = tdmr1("rewards", "list", "--verify", "--json")
found = {reward["name"]: reward["status"] for reward in json.loads(listed.stdout)}
report("lists its rewards, and no others", sorted(found) == names, ", ".join(found))
for name, status in found.items():
    kinds = ("ok", "needs options: ", "weights missing; try: tdmr1 rewards fetch ")
    report(f"{name} is there", status.startswith(kinds), status)

for look in (["list"], *(["info", name] for name in names)):
    looked = run("-c", LOOK, "rewards", *look)
    last = (looked.stderr.splitlines() or [""])[-1]
    right = (looked.returncode, last) == (0, "False")
    report(f"rewards {' '.join(look)}, without torch", right, "" if right else last)

for name in names:
    if found[name].startswith("needs options") and name != "vlm":
        continue
    given = {}
    if name == "vlm":
        judge = subprocess.Popen([sys.executable, "-I", str(JUDGE)], stdout=subprocess.PIPE, text=True)
        atexit.register(judge.kill)
        port = int(judge.stdout.readline())
        given = {"url": f"http://127.0.0.1:{port}/v1", "model": "bright", "preset": "text"}
    if name in SMALL:
        written = run("-c", WRITE + SMALL[name] + SHOW, str(Path("small", sys.argv[1], name).absolute()))
        given = json.loads(written.stdout.splitlines()[-1]) if written.returncode == 0 else {}
        right = written.returncode == 0
        report(f"writes small weights of {name}", right, "" if right else written.stderr[-500:])
    options = [part for item in given.items() for part in ("--option", "=".join(item))]
    checked = tdmr1("rewards", "check", name, "--json", *options)
    findings = json.loads(checked.stdout)["checks"]
    wrong = {check for check, finding in findings.items() if finding["status"] == "failed"}
    # To random weights, and to a judge that cannot read, nothing is better than anything.
    wrong -= {"tells good from bad"} if given else set()
    texts = [f"{check}: {findings[check]['text']}" for check in sorted(wrong)]
    report(f"rewards check {name}", findings["loads"]["status"] == "passed" and not wrong, "; ".join(texts))
raise SystemExit(failed)
PYTHON

failed=0
rm -rf small
for package in ${*:-$(cd "$ROOT/plugins" && ls -d tdmr1-reward-* | sed s/tdmr1-reward-//) "geneval[mask2former]"}; do
    python=alone-$package/bin/python
    [ -x "$python" ] || python3 -m venv "alone-$package"
    name=${package%%\[*}
    wheel=$(echo wheels/tdmr1_reward_"$name"-*.whl)
    "$python" -m pip install --quiet --constraint "$ROOT/constraints.txt" wheels/tdmr1-*.whl "$wheel${package#"$name"}"
    # The same version, of what is here now.
    "$python" -m pip install --quiet --no-deps --force-reinstall wheels/tdmr1-*.whl "$wheel"
    "$python" use.py "$package" || failed=1
done
exit $failed
