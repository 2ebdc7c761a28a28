"""What a run does: options with their defaults, presets, files and `--set`.

Later wins: defaults, then the preset, then `--config FILE`, then `--set KEY=VALUE`, then the
command line's own arguments.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, Field, JsonValue, ValidationError

from tdmr1.core.options import (
    DGPOOptions,
    DirectOptions,
    FlowGRPOOptions,
    Options,
    TDMOptions,
    TDMR1Options,
)
from tdmr1.core.paths import AbsolutePath, PathOrName, absolute, absolute_if_there
from tdmr1.errors import UserError
from tdmr1.installed import entry_points
from tdmr1.rewards.discovery.spec import absolute_source
from tdmr1.trainers.limits import GuardOptions
from tdmr1.trainers.presets import ENTRY_POINT_GROUP, preset_files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _is_installed(model: str) -> bool:
    return model in {entry.name for entry in entry_points(ENTRY_POINT_GROUP)}


def _absolute_model(model: str) -> str:
    return model if _is_installed(model) else absolute_if_there(model)


def _absolute_cache(choice: str) -> str:
    return choice if choice in ("on", "off") else absolute(choice)


def _absolute_space(space: str) -> str:
    head, colon, place = space.rpartition(":")
    return f"{head}:{absolute_if_there(place)}" if colon else space


RewardText: TypeAlias = Annotated[str, AfterValidator(absolute_source)]


class RunOptions(Options):
    """What every run has, whatever it trains. Paths become absolute.

    Attributes:
        kind: the command that makes such a run, `tdmr1 KIND`.
    """

    kind: ClassVar[str]

    model: Annotated[str, AfterValidator(_absolute_model)] = Field(
        "shapes", description="a registered generator, a Hub id or a folder"
    )
    generator: dict[str, Any] = Field({}, description="options of the generator's own")
    iterations: int = Field(400, ge=1)
    cooldown: float = Field(
        0.0, ge=0, le=1, description="last share of a run; in it the student's rate falls to 0"
    )
    seed: int = Field(0, ge=0)
    prompts: AbsolutePath | None = Field(
        None, description="prompt file; by default the generator's own"
    )
    heldout: AbsolutePath | None = Field(None, description="prompts of the evaluation; likewise")
    balance: str | None = Field(
        "tag", description="metadata key whose values are evaluated, and drawn (`draw`), equally"
    )
    draw: Literal["balanced", "uniform"] = Field(
        "balanced",
        description="in training: the values of `balance` equally often, or the prompts",
    )
    prompt_weights: dict[str, float] = Field({}, description="value of that key -> its weight, 1")
    precision: Literal["auto", "no", "bf16"] = Field(
        "no", description="of the network, by autocast; auto: bf16 where the hardware has it"
    )
    shard: bool = Field(
        False, description="the frozen network is shared out over the processes of a run (FSDP2)"
    )
    compile: bool = Field(
        False, description="the network's blocks, by torch.compile: for runs of hours"
    )
    rewards: tuple[RewardText, ...] = Field(
        (), description="NAME[=WEIGHT][@PLACE]; distillation only measures"
    )
    reward_options: dict[RewardText, dict[str, JsonValue]] = Field(
        {}, description="reward -> option -> value; `tdmr1 rewards info NAME` lists the options"
    )
    reward_timeout: float = Field(60.0, gt=0, description="seconds for one call")
    reward_wait: float = Field(
        0.0, ge=0, description="seconds for a server that cannot be reached, e.g. is started again"
    )
    max_reward_errors: float = Field(0.0, ge=0, lt=1, description="share of samples that may fail")
    reward_cache: Annotated[str, AfterValidator(_absolute_cache)] = Field(
        "off", description="scores that are kept on disk: on (in the user's cache), off, or a file"
    )
    teacher_cache: Annotated[str, AfterValidator(_absolute_cache)] = Field(
        "on",
        description="what was measured of the teacher is kept: on (in the user's cache), off, or "
        "a folder",
    )
    trackers: tuple[str, ...] = Field(
        ("tensorboard",), description="of Accelerate: tensorboard, wandb, mlflow, trackio, ..."
    )
    tracker_project: str = Field("tdmr1", description="of the run in those that have projects")
    tracker_options: dict[str, dict[str, JsonValue]] = Field(
        {}, description="tracker -> argument of its start -> value, e.g. wandb.entity"
    )
    checkpoint_every: int = Field(25, ge=1, description="iterations")
    checkpoints_kept: int = Field(2, ge=1)
    evaluate_every: int = Field(0, ge=0, description="iterations; 0: only at the end")
    images_every: int = Field(50, ge=1, description="iterations between grids of fixed noise")
    eval_images: int = Field(100, ge=1, description="of an evaluation, per value of `balance`")
    eval_group: int = Field(
        4, ge=1, description="of them one prompt's, among which diversity is measured"
    )
    eval_features: Annotated[str, AfterValidator(_absolute_space)] = Field(
        "thumbnail",
        description="in which pictures are compared: thumbnail, dinov2:FOLDER_OR_HUB_ID, or "
        "open_clip:MODEL:PRETRAINED",
    )
    eval_seed: int = Field(1234, ge=0, description="of the evaluation's noise")

    def student_rate_at(self, iteration: int) -> float:
        """The factor in (0, 1] of the student's learning rate in an iteration, counted from 0.

        Whoever follows the student, fake and surrogate, keeps a full rate.
        """
        falling = self.cooldown * self.iterations
        return 1.0 if falling == 0 else min(1.0, (self.iterations - iteration) / falling)


class DistillConfig(RunOptions):
    """`tdmr1 distill`."""

    kind: ClassVar[str] = "distill"

    method: TDMOptions = TDMOptions()


class ReinforcedOptions(RunOptions):
    """What every run has that learns from rewards."""

    gates: tuple[RewardText, ...] = Field(
        (), description="NAME>NUMBER (>= < <=); samples that fail it are the worst of their group"
    )
    watch: tuple[RewardText, ...] = Field(
        (), description="NAME[@PLACE]; held-out rewards: they are measured, never trained on"
    )
    guard: GuardOptions = GuardOptions()


class StudentOptions(ReinforcedOptions):
    """What every run has whose student was distilled before."""

    student: PathOrName | None = Field(
        None, description="RUN/lora, a file, or a Hub id; by default the generator's own"
    )
    student_weight: float | None = Field(
        None, gt=0, description="of its LoRA as an adapter; by default as published, or 1"
    )
    method: TDMOptions = TDMOptions()


class TrainConfig(StudentOptions):
    """`tdmr1 train`."""

    kind: ClassVar[str] = "train"

    method: TDMR1Options = TDMR1Options()


class DirectConfig(StudentOptions):
    """`tdmr1 direct`, a baseline: the student itself learns from the rewards."""

    kind: ClassVar[str] = "direct"

    method: DirectOptions = DirectOptions()


class DGPOConfig(ReinforcedOptions):
    """`tdmr1 dgpo`, a baseline: the many-step teacher is trained, and draws."""

    kind: ClassVar[str] = "dgpo"

    method: DGPOOptions = DGPOOptions()


class FlowGRPOConfig(ReinforcedOptions):
    """`tdmr1 flow-grpo`, a baseline: the many-step teacher is trained, and draws."""

    kind: ClassVar[str] = "flow-grpo"

    method: FlowGRPOOptions = FlowGRPOOptions()


_KEY_PART = re.compile(r"""\s*(?:(["'])(?P<quoted>.+?)\1|(?P<bare>[^.="']+?))\s*(?P<end>[.=])""")
"""One part of a key, as in TOML, up to the dot or the equals sign after it."""

OF_PROMPTS = ("balance", "prompt_weights")
"""What a preset says of its own prompts alone, those of its model or file."""

MethodConfig: TypeAlias = TrainConfig | DistillConfig
ManyStepConfig: TypeAlias = DGPOConfig | FlowGRPOConfig
BaselineConfig: TypeAlias = DirectConfig | ManyStepConfig
AnyConfig: TypeAlias = MethodConfig | BaselineConfig
KINDS: dict[str, type[AnyConfig]] = {
    kind.kind: kind
    for kind in (TrainConfig, DistillConfig, DirectConfig, DGPOConfig, FlowGRPOConfig)
}
"""The command that makes a run -> its options."""
Config = TypeVar("Config", bound=RunOptions)
AnyOptions = TypeVar("AnyOptions", bound=Options)


def build_config(
    kind: type[Config],
    preset: str | None = None,
    file: Path | None = None,
    settings: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The resolved configuration.

    Args:
        kind: one of `KINDS`.
        preset: name of an installed one; by default MODEL-KIND, e.g. shapes-train, if there is.
            Without one a pipeline in bfloat16 has precision = "auto".
        file: TOML.
        settings: "key=value"; nested keys have dots, and quotes around a part that has dots of
            its own; values are TOML, or plain text. "{}" and "none" clear a table.
        overrides: from the command line's own arguments; None values are left out.

    Raises:
        UserError: naming the key, the value and what would be accepted.
    """
    layers = [] if file is None else [_without_empty(kind, _read_toml(file))]
    layers += [_parse_setting(setting) for setting in settings]
    layers.append({k: v for k, v in (overrides or {}).items() if v is not None})
    chosen = {key: value for layer in layers for key, value in layer.items()}
    own = {key: kind.model_fields[key].default for key in ("model", "prompts")}
    if preset is None:
        of_model = f"{chosen.get('model', own['model'])}-{kind.kind}"
        preset = of_model if of_model in preset_files() else None
    values = {} if preset is None else _read_preset(preset)
    own = {key: values.get(key, default) for key, default in own.items()}
    if any(chosen.get(key, own[key]) != own[key] for key in own):
        values = {key: value for key, value in values.items() if key not in OF_PROMPTS}
    for layer in layers:
        _merge(values, layer)
    if preset is None and _is_in_bfloat16(values):
        values.setdefault("precision", "auto")
    return validated(kind, values)


def changed(config: Config, settings: Sequence[str]) -> Config:
    """The same configuration with some options set, "key=value" each.

    Raises:
        UserError: as `build_config`.
    """
    values = config.model_dump(mode="json")
    for setting in settings:
        _merge(values, _parse_setting(setting))
    return validated(type(config), values)


def validated(
    kind: type[AnyOptions], values: Mapping[str, Any], within: str | None = None
) -> AnyOptions:
    """The options that are exactly `values`, and defaults.

    Args:
        kind: a configuration, or options of a part of one.
        values: by name.
        within: the key of that part.

    Raises:
        UserError: as `build_config`.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UserError("\n".join(_explain(kind, error, within))) from error


def _is_in_bfloat16(values: Mapping[str, Any]) -> bool:
    """Whether the model is a pipeline of diffusers in bfloat16. Its adapters are in float32, and
    without autocast they compute in it: a tenth slower, next to what is rounded anyway."""
    own = values.get("generator")
    dtype = own.get("dtype", "bfloat16") if isinstance(own, Mapping) else "bfloat16"
    return "model" in values and not _is_installed(values["model"]) and dtype == "bfloat16"


def _read_preset(name: str) -> dict[str, Any]:
    files = preset_files()
    if name not in files:
        raise UserError(f"unknown preset {name!r}; there are: {', '.join(files) or 'none'}")
    return _read_toml(files[name])


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = _with_none(tomllib.loads(file.read_text(encoding="utf-8")))
        return read
    except OSError as error:
        raise UserError(f"cannot read the config {file}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{file} is not valid TOML: {error}") from error


def _with_none(value: Any) -> Any:  # noqa: ANN401
    """TOML has no null: where an option may be none, "none" is."""
    if isinstance(value, dict):
        return {key: _with_none(part) for key, part in value.items()}
    return None if value == "none" else value


def _parse_setting(setting: str) -> dict[str, Any]:
    key: list[str] = []
    end, at = ".", 0
    while end == ".":
        if (part := _KEY_PART.match(setting, at)) is None:
            raise UserError(
                f"--set {setting!r}: write it as key=value, e.g. --set method.beta=10, or "
                """--set 'reward_options."./my.py:score".gain=3'"""
            )
        key.append(part["quoted"] or part["bare"])
        end, at = part["end"], part.end()
    text = setting[at:]
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = None if text.lower() == "none" else text
    nested: Any = value
    for name in reversed(key):
        nested = {name: nested}
    return dict(nested)


def _without_empty(kind: type[Options], table: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says. A `[method]` of comments alone clears nothing there, but an empty table of
    keys that are the user's own does (`prompt_weights = {}`)."""
    said = {}
    for key, value in table.items():
        default = kind.model_fields[key].default if kind.is_table(key) else None
        if isinstance(default, Options) and isinstance(value, Mapping):
            value = _without_empty(type(default), value)
            if not value:
                continue
        said[key] = value
    return said


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Set what `more` says, table by table; an empty one clears."""
    for key, value in more.items():
        if value and isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _explain(kind: type[BaseModel], error: ValidationError, within: str | None) -> Iterator[str]:
    """One line a problem."""
    above = [] if within is None else [within]
    for problem in error.errors():
        key = ".".join([*above, *(str(part) for part in problem["loc"])])
        if problem["type"] == "extra_forbidden":
            known = list(_keys(kind, "".join(f"{part}." for part in above)))
            yield f"unknown config key {key!r}; {_nearest(key, known)}"
        elif problem["type"] == "value_error":  # one of our own; it says the keys and values
            yield f"config key {key!r}: {problem['ctx']['error']}"
        else:
            yield f"config key {key!r} = {problem['input']!r}: {problem['msg'].lower()}"


def _nearest(key: str, known: list[str]) -> str:
    last = key.rpartition(".")[2]
    near = [k for k in known if k.rpartition(".")[2] == last]
    near = near or difflib.get_close_matches(key, known, n=3, cutoff=0.6)
    there_are = f"there are: {', '.join(known) or 'none'}"
    return f"did you mean {' or '.join(near)}?" if near else there_are


def _keys(kind: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name
