"""DGPO here and in Flow-Factory on the same work, in turn; docs/check_peer.sh runs it.

An iteration is: 1 group of SAMPLES samples, drawn in 5 steps of an ODE without guidance; decoded;
rewarded with their mean brightness; then 2 draws of (tau, noise), in each of which the network is
evaluated as the policy with gradient, and as its average and as the teacher without; the mean of
both gradients, clipped, is one step of Adam on a LoRA of rank 32 in float32; two averages follow.
That network evaluations, their shapes and dtypes, decoded images and steps are equally many is
counted on both sides, and anything else is an error.

Both sides read the same pipeline, and have the embeddings of one prompt, encoded before the clock
starts. In float32 everything is. In bfloat16 frozen weights are, and autocast is on.

- Ours is what `tdmr1 dgpo` does in an iteration, with the copy of its state that it keeps for an
  interruption; without progress, pictures and files. All settings that are not named are defaults.
- Theirs is `DGPOTrainer.start()` with its own data set, sampler, reward buffer and log, without
  checkpoints, evaluations and progress bars. `Adapter` and `Brightness` are the extensions that it
  has: the first cuts prompts at 16 tokens instead of 256, as ours does. Patched are:
  `autocast`, which is bfloat16 there whatever the precision, is off in float32; what its example
  has on "cuda" is on the CPU; and latents are stored in float32, because in float16, its default,
  autocast on a CPU fails.

Freed memory stays with our process, as with `tdmr1`; theirs has the malloc that it has.
"""

import contextlib
import copy
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

SAMPLES = int(os.environ.get("SAMPLES", "8"))
REPEATS = int(os.environ.get("REPEATS", "5"))
PRECISIONS = os.environ.get("PRECISIONS", "float32 bfloat16").split()
STEPS, DRAWS, RANK, ALPHA, TOKENS, PIXELS = 5, 2, 32, 64, 16, 256
PROMPT = "a photo of a red star"


def main(flow_factory: str) -> None:
    commit = subprocess.run(
        ["git", "-C", flow_factory, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    names = ("torch", "diffusers", "peft", "accelerate", "transformers")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"Flow-Factory {commit or 'of an unknown commit'}; both: {versions}; Python", end=" ")
    print(f"{platform.python_version()}, {platform.machine()}, {cpu_capability()}")
    for precision in PRECISIONS:
        compare(precision, flow_factory)


def compare(precision: str, flow_factory: str) -> None:
    """Their iteration, our iteration, and again; the first of each warms up."""
    sides = [start(side, precision, flow_factory) for side in ("theirs", "ours")]
    pairs = []
    for repeat in range(REPEATS + 1):
        told = theirs, ours = [ask(process) for process in sides]
        if theirs["work"] != ours["work"]:
            raise SystemExit(f"unequal work: theirs {theirs['work']}, ours {ours['work']}")
        seconds = f"{theirs['seconds']:.2f} s theirs, {ours['seconds']:.2f} s ours"
        print(f"{precision}, {repeat or 'warming up'}: {seconds}", file=sys.stderr, flush=True)
        if repeat:
            pairs.append(told)
    for process in sides:
        process.stdin.close()
        process.wait()
    print(f"{precision}, an iteration of each: {pairs[0][0]['work']}")
    for side, name in enumerate(("Flow-Factory", "tdmr1")):
        seconds = sorted(pair[side]["seconds"] for pair in pairs)
        median = statistics.median(seconds)
        print(
            f"{precision}, {name}: {SAMPLES / median:.3f} samples a CPU-second, "
            f"{median:.2f} s an iteration ({seconds[0]:.2f} to {seconds[-1]:.2f}), "
            f"peak {pairs[-1][side]['peak'] / 2**20:.2f} GiB"
        )
    ratios = sorted(theirs["seconds"] / ours["seconds"] for theirs, ours in pairs)
    print(
        f"{precision}: tdmr1 / Flow-Factory {statistics.median(ratios):.2f} "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f}), {REPEATS} pairs",
        flush=True,
    )


def start(side: str, precision: str, flow_factory: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, flow_factory, side, precision]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log(side), text=True
    )


def log(side: str) -> Any:  # noqa: ANN401
    return open(f"{side}.log", "a")  # the process has it as long as it lives


def ask(process: subprocess.Popen[str]) -> dict[str, Any]:
    """One iteration of a side."""
    process.stdin.write("\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        side = process.args[-2]
        raise SystemExit(f"{side} failed:\n" + Path(f"{side}.log").read_text()[-3000:])
    return json.loads(answer)


def serve(side: Callable[[bool], Callable[[], None]], bfloat16: bool) -> None:
    """An iteration for each line, and what it took. Whatever else is printed is no answer."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    work = count_work()
    iterate = side(bfloat16)
    for _ in sys.stdin:
        work.clear()
        started = time.process_time()
        iterate()
        seconds = time.process_time() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        told = {"seconds": seconds, "peak": peak, "work": dict(sorted(work.items()))}
        print(json.dumps(told), file=answers, flush=True)


def count_work() -> Counter[str]:
    """What the networks and optimisers of this process do from now on."""
    import torch
    from diffusers import AutoencoderKL, SD3Transformer2DModel
    from torch.optim.optimizer import register_optimizer_step_post_hook

    work: Counter[str] = Counter()
    forward, decode = SD3Transformer2DModel.forward, AutoencoderKL.decode

    def counted_forward(self: Any, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        kind = "with gradient" if torch.is_grad_enabled() else "without gradient"
        of = tuple(hidden_states.shape[1:]), kwargs["encoder_hidden_states"].shape[1]
        weights = {p.dtype for n, p in self.named_parameters() if ".lora_" not in n}
        work[f"evaluations {kind}, latents {of[0]}, tokens {of[1]}, {weights}"] += len(
            hidden_states
        )
        return forward(self, hidden_states, *args, **kwargs)

    def counted_decode(self: Any, z: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        work[f"decoded images, {z.dtype}"] += len(z)
        return decode(self, z, *args, **kwargs)

    def stepped(optimizer: Any, args: Any, kwargs: Any) -> None:  # noqa: ANN401
        sizes = (p.numel() for group in optimizer.param_groups for p in group["params"])
        work[f"optimiser steps of {sum(sizes)} weights"] += 1

    SD3Transformer2DModel.forward, AutoencoderKL.decode = counted_forward, counted_decode
    register_optimizer_step_post_hook(stepped)
    return work


def ours(bfloat16: bool) -> Callable[[], None]:
    from tdmr1.trainers.benchmarks.iteration import untrained
    from tdmr1.trainers.config import KINDS, build_config

    settings = {
        "model": "./sd3",
        "precision": "bf16" if bfloat16 else "no",
        "generator.dtype": "bfloat16" if bfloat16 else "float32",
        "generator.resolution": PIXELS,
        "generator.prompt_tokens": TOKENS,
        "method.groups": 1,
        "method.group_size": SAMPLES,
        "method.steps": STEPS,
        "method.draws": DRAWS,
        "method.guidance": 1,
        "method.rank": RANK,
        "method.alpha": ALPHA,
    }
    config = build_config(KINDS["dgpo"], settings=[f"{k}={v}" for k, v in settings.items()])
    stage = untrained(config)

    def iterate() -> None:
        _before = copy.deepcopy(stage.state_dict())
        stage.collect()
        stage.update()

    return iterate


def theirs(bfloat16: bool) -> Callable[[], None]:
    global Adapter, Brightness
    sys.path.insert(0, str(Path(sys.argv[1]) / "src"))
    import torch
    from flow_factory.hparams import Arguments
    from flow_factory.models.stable_diffusion.sd3_5 import SD3_5Adapter
    from flow_factory.rewards.abc import PointwiseRewardModel, RewardModelOutput
    from flow_factory.trainers import load_trainer

    class Adapter(SD3_5Adapter):
        def encode_prompt(self, prompt: list[str], **kwargs: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
            tokens, _, pooled, _ = self.pipeline.encode_prompt(
                prompt,
                prompt_2=None,
                prompt_3=None,
                do_classifier_free_guidance=False,
                max_sequence_length=TOKENS,
            )
            ids = torch.zeros(len(prompt), TOKENS, dtype=torch.long)
            return {"prompt_embeds": tokens, "pooled_prompt_embeds": pooled, "prompt_ids": ids}

    class Brightness(PointwiseRewardModel):
        use_tensor_inputs = True

        def __call__(
            self,
            prompt: list[str],
            image: list[torch.Tensor],
            **kwargs: Any,  # noqa: ANN401
        ) -> RewardModelOutput:
            return RewardModelOutput(rewards=[float(i.float().mean()) for i in image])

    Path("prompts").mkdir(exist_ok=True)
    Path("prompts/train.txt").write_text(PROMPT + "\n")
    trainer = load_trainer(Arguments.from_dict(settings_of_theirs(bfloat16)))
    if not bfloat16:
        trainer.autocast = contextlib.nullcontext

    def iterate() -> None:
        trainer.training_args.max_epochs = trainer.epoch + 1
        trainer.start()

    return iterate


def settings_of_theirs(bfloat16: bool) -> dict[str, Any]:
    """Those of its examples/dgpo/lora/sd3_5/nocfg.yaml, but for sizes, places and names."""
    return {
        "mixed_precision": "bf16" if bfloat16 else "no",
        "log": {"run_name": "peer", "save_dir": "saves", "save_freq": 0, "verbose": False},
        "data": {
            "dataset_dir": "prompts",
            "cache_dir": "cache",
            "dataloader_num_workers": 0,
            "force_reprocess": True,
            "sampler_type": "group_distributed",
        },
        "model": {
            "finetune_type": "lora",
            "lora_rank": RANK,
            "lora_alpha": ALPHA,
            "target_modules": "default",
            "master_weight_dtype": "fp32",
            "model_name_or_path": "sd3",
            "model_type": "__main__.Adapter",
        },
        "train": {
            "trainer_type": "dgpo",
            "advantage_aggregation": "sum",
            "dpo_beta": 10,
            "off_policy": False,
            "ema_decay": 0.9,
            "ema_decay_schedule": "constant",
            "ema_update_interval": 1,
            "ema_device": "cpu",
            "ema_ref_device": "cpu",
            "ref_param_device": "cpu",
            "num_train_timesteps": DRAWS,
            "time_sampling_strategy": "discrete",
            "timestep_range": 0.6,
            "kl_beta": 0.001,
            "clip_range": 5e-2,
            "resolution": PIXELS,
            "num_inference_steps": STEPS,
            "guidance_scale": 1.0,
            "per_device_batch_size": SAMPLES,
            "group_size": SAMPLES,
            "unique_sample_num_per_epoch": 1,
            "gradient_step_per_epoch": 1,
            "learning_rate": 3e-4,
            "latent_storage_dtype": "fp32",
        },
        "scheduler": {"dynamics_type": "ODE"},
        "eval": {"eval_freq": 0},
        "rewards": [{"name": "brightness", "reward_model": "__main__.Brightness"}],
    }


def cpu_capability() -> str:
    import torch

    return f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} thread"


if __name__ == "__main__":
    if len(sys.argv) > 2:
        serve({"ours": ours, "theirs": theirs}[sys.argv[2]], sys.argv[3] == "bfloat16")
    else:
        main(sys.argv[1])
