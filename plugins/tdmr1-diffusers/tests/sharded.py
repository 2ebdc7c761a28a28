"""One of several processes that hold a tiny SD3 in shares; says how far it is from the whole one.

Run with `arguments`: the pipeline, the folder of the test, this process, how many there are.
"""

import json

import torch
from torch import distributed

from tdmr1.core.roles import Roles
from tdmr1.core.sharding import share_out
from tdmr1.trainers.models import load_generator

CPU = torch.device("cpu")


def answers(folder, processes, dtype, **memory):
    """Velocities of teacher and student, and gradients of the student, on samples of every
    process's own; and how many weights this process holds."""
    torch.manual_seed(0)
    generator = load_generator(folder, {"dtype": dtype, "prompt_tokens": 16})
    for parameter in generator.network.parameters():
        parameter.data = parameter.data.clone()  # aligned, so that sums have the same order
    if processes:
        share_out(generator.network, CPU, processes)
    roles = Roles(generator, 4, 8.0, **memory)
    student, other = (roles.add(name, trainable=True) for name in ("student", "other"))
    with torch.no_grad():
        for parameter in [*student.parameters().values(), *other.parameters().values()]:
            parameter.normal_(std=0.1)
    given = torch.Generator().manual_seed(distributed.get_rank())
    x = torch.randn(4, *generator.latent_shape, generator=given)
    condition = generator.encode(["a red star", "two dogs"]).of(torch.tensor([0, 0, 1, 1]))
    found = {}
    for _ in range(2):
        v = student.velocity(x, torch.tensor(0.7), condition)
        with torch.no_grad():  # another role, before the backward pass of the first
            found["teacher"] = roles.teacher.velocity(x, torch.tensor(0.7), condition)
            found["other"] = other.velocity(x, torch.tensor(0.7), condition)
        (v - found["other"]).square().mean().backward()
    found["student"] = v.detach()
    # Micro-batches of what is known run the network in the backward pass alone.
    student.velocity(x, torch.tensor(0.7), condition, v.detach()).mean().backward()
    for name, parameter in student.parameters().items():
        assert type(parameter) is torch.nn.Parameter
        found[f"gradient of {name}"] = parameter.grad
    own = [p for name, p in generator.network.named_parameters() if ".lora_" not in name]
    held = sum(p.to_local().numel() if processes else p.numel() for p in own)
    return found, held


def main(folder, test, rank, processes):
    distributed.init_process_group(
        "gloo", init_method=f"file://{test / 'store'}", rank=rank, world_size=processes
    )
    result = {}
    for name, options in {
        "float32": {"dtype": "float32"},
        "bfloat16, micro-batches, gradient checkpointing": {
            "dtype": "bfloat16",
            "micro_batch": 1,
            "gradient_checkpointing": True,
        },
    }.items():
        whole, count = answers(folder, 0, **options)
        shared, held = answers(folder, processes, **options)
        assert whole.keys() == shared.keys()
        apart = {
            n: float((whole[n] - shared[n]).abs().max() / whole[n].abs().max()) for n in whole
        }
        result[name] = {"apart": max(apart.values()), "share": held / count}
    (test / f"told-{rank}.json").write_text(json.dumps(result))
    distributed.destroy_process_group()


main(*arguments)  # noqa: F821
