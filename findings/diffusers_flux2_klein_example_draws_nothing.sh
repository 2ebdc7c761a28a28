#!/bin/sh
# diffusers 0.42.1: the example in the documentation of `Flux2KleinPipeline.__call__` ends in an error. It gives
# the prompt as the first argument, as for other pipelines, and here that is `image`; so it is told that
# there is no prompt. `prompt=` works.
#
# Seen with torch 2.13.0, transformers 5.23.0, Python 3.11, Linux x86-64:
#
#     pipe(prompt, num_inference_steps=50, guidance_scale=4.0)
#     ValueError: Provide either `prompt` or `prompt_embeds`. Cannot leave both `prompt` and `prompt_embeds` undefined.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/example.py" <<'PYTHON'
import re

from diffusers import FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline

(example,) = re.findall(r"pipe\(prompt.*?\)", Flux2KleinPipeline.__call__.__doc__)
print(example)
prompt = "A cat holding a sign that says hello world"
# Arguments are looked at before any network is.
pipe = Flux2KleinPipeline(FlowMatchEulerDiscreteScheduler(), None, None, None, None)
try:
    pipe(prompt, num_inference_steps=50, guidance_scale=4.0)
except ValueError as error:
    print(f"ValueError: {error}")
PYTHON
python3 -m venv "$work/environment"
"$work/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 \
    diffusers==0.42.1 transformers==5.23.0 accelerate==1.15.0
"$work/environment/bin/python" "$work/example.py" 2> /dev/null | tee "$work/seen"
grep -E '^#     (pipe|Value)' "$0" | sed 's/^#     //' | diff - "$work/seen"
