import copy
import re
from pathlib import Path

import pytest

from tdmr1.errors import UserError
from tdmr1.trainers import config
from tdmr1.trainers.config import DistillConfig, TrainConfig, build_config, validated


@pytest.fixture
def presets(monkeypatch):
    """The presets that ship, replaced."""

    def presets(**values):
        monkeypatch.setattr(config, "preset_files", lambda: values)
        monkeypatch.setattr(config, "_read_preset", lambda name: copy.deepcopy(values[name]))

    return presets


def test_later_wins(tmp_path, presets):
    presets(
        mine={"iterations": 2, "seed": 2, "eval_seed": 2, "images_every": 2, "method": {"beta": 2}}
    )
    file = tmp_path / "run.toml"
    file.write_text("seed = 3\neval_seed = 3\nimages_every = 3\n[method]\nt_min = 0.3\n")
    built = build_config(
        TrainConfig, "mine", file, ["eval_seed=4", "images_every=4"], {"images_every": 5}
    )
    assert built.checkpoint_every == TrainConfig().checkpoint_every
    assert [built.iterations, built.seed, built.eval_seed, built.images_every] == [2, 3, 4, 5]
    assert (built.method.beta, built.method.t_min) == (2, 0.3)


def test_options_of_rewards_are_json(presets):
    presets()
    settings = ["reward_options.ocr.short_side=200", "reward_options.ocr.name=big"]
    built = build_config(TrainConfig, settings=settings)
    assert built.reward_options == {"ocr": {"short_side": 200, "name": "big"}}
    quoted = ["reward_options.'./my.py:score'.gain=3", 'reward_options."a=b.c:d".text=x=y.z']
    assert build_config(TrainConfig, settings=quoted).reward_options == {
        f"{Path('my.py').absolute()}:score": {"gain": 3},
        "a=b.c:d": {"text": "x=y.z"},
    }
    with pytest.raises(UserError, match=r"reward_options\.ocr\.day"):
        build_config(TrainConfig, settings=["reward_options.ocr.day=2020-01-01"])


def test_a_folder_of_features_is_the_same_from_any_folder(presets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dino").mkdir()
    for given, features in {
        "dinov2:./dino": f"dinov2:{tmp_path / 'dino'}",
        "dinov2:facebook/dinov2-base": "dinov2:facebook/dinov2-base",
        "thumbnail": "thumbnail",
    }.items():
        built = build_config(TrainConfig, settings=[f"eval_features={given}"])
        assert built.eval_features == features


def test_an_argument_that_was_not_given_changes_nothing(presets):
    presets(mine={"seed": 2})
    assert build_config(TrainConfig, "mine", overrides={"seed": None}).seed == 2


def test_a_model_brings_its_own_preset(presets):
    presets(
        **{"shapes-train": {"seed": 1}, "shapes-distill": {"seed": 2}, "tiny-train": {"seed": 3}}
    )
    assert build_config(TrainConfig).seed == 1
    assert build_config(DistillConfig).seed == 2
    assert build_config(TrainConfig, overrides={"model": "tiny"}).seed == 3
    assert build_config(TrainConfig, settings=["model=tiny"]).seed == 3
    assert build_config(DistillConfig, overrides={"model": "tiny"}).seed == DistillConfig().seed
    assert build_config(TrainConfig, "shapes-train", overrides={"model": "tiny"}).seed == 1


TABLES = {"seed": 2, "prompt_weights": {"a": 2}, "method": {"beta": 2}}


@pytest.mark.parametrize("nothing", ["{}", "none"])
def test_a_table_can_be_cleared(presets, nothing):
    presets(mine=TABLES)
    said = build_config(TrainConfig, "mine")
    assert (said.prompt_weights, said.method.beta) == ({"a": 2}, 2)
    built = build_config(TrainConfig, "mine", settings=[f"prompt_weights={nothing}"])
    assert built == said.model_copy(update={"prompt_weights": {}})
    assert build_config(TrainConfig, "mine", settings=[f"method={nothing}"]).method.beta == 30
    assert build_config(TrainConfig, settings=[f"reward_options={nothing}"]).reward_options == {}


def test_what_is_set_after_a_table_was_cleared_stands_alone(presets):
    presets(mine=TABLES)
    settings = ["prompt_weights={}", "prompt_weights.b=3", "prompt_weights.c=4"]
    built = build_config(TrainConfig, "mine", settings=settings)
    assert built.prompt_weights == {"b": 3, "c": 4}
    assert build_config(TrainConfig, "mine").prompt_weights == {"a": 2}


def test_in_a_file_an_empty_table_clears_only_keys_of_the_user_s_own(presets, tmp_path):
    presets(mine=TABLES)
    file = tmp_path / "run.toml"
    file.write_text("prompt_weights = {}\n[method]\n# beta = 3\n")
    built = build_config(TrainConfig, "mine", file)
    assert (built.prompt_weights, built.method.beta) == ({}, 2)
    file.write_text('method = "none"\nprompt_weights = "none"\n')
    built = build_config(TrainConfig, "mine", file)
    assert (built.prompt_weights, built.method.beta) == ({}, 30)


def test_what_a_preset_says_of_prompts_holds_for_its_own(presets):
    presets(
        **{"shapes-train": {"seed": 2, "balance": "kind", "prompt_weights": {"a": 2}}},
        of_a_file={"prompts": "p.txt", "prompt_weights": {"a": 2}},
    )

    def said(preset=None, *settings, **arguments):
        built = build_config(TrainConfig, preset, None, settings, arguments)
        return built.balance, built.prompt_weights

    assert said() == said(heldout="h.txt") == said(model="shapes") == ("kind", {"a": 2})
    assert said(None, "prompts=none") == ("kind", {"a": 2})
    assert said(prompts="p.txt") == said(None, "prompts=p.txt") == ("tag", {})
    assert said("shapes-train", model="tiny") == ("tag", {})
    assert said(None, "balance=word", "prompt_weights.b=3", prompts="p.txt") == ("word", {"b": 3})
    assert said("of_a_file") == said("of_a_file", prompts="p.txt") == ("tag", {"a": 2})
    assert said("of_a_file", prompts="q.txt") == said("of_a_file", "prompts=none") == ("tag", {})
    assert build_config(TrainConfig, overrides={"prompts": "p.txt"}).seed == 2


@pytest.mark.parametrize("name", config.preset_files())
def test_every_shipped_preset_is_valid(name):
    kind = next(kind for ending, kind in config.KINDS.items() if name.endswith(f"-{ending}"))
    assert build_config(kind, name).kind == kind.kind


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("method.clip=none", None),
        ("method.clip=0.5", 0.5),
        ("method.clip = 1e-3", 1e-3),
    ],
)
def test_a_setting_is_toml_or_none(setting, value):
    assert build_config(TrainConfig, settings=[setting]).method.clip == value


def test_none_in_a_file_is_none(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('[method]\nclip = "none"\n')
    assert build_config(TrainConfig, file=file).method.clip is None


def test_a_setting_may_be_plain_text_or_a_list():
    built = build_config(TrainConfig, settings=["model=tiny", 'rewards=["a", "b=2"]'])
    assert (built.model, built.rewards) == ("tiny", ("a", "b=2"))


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("method.bta=3", r"unknown config key 'method\.bta'; did you mean method\.beta"),
        ("beta=3", r"unknown config key 'beta'; did you mean method\.beta\?"),
        ("iteration=3", r"unknown config key 'iteration'; did you mean iterations"),
        (
            "zzz=3",
            r"unknown config key 'zzz'; there are: model, generator, iterations, .*method\.beta",
        ),
        ("method.group_size=1", r"'method\.group_size' = 1: .*greater than or equal to 2"),
        ("method.steps=1", r"'method': boundaries = 2, but a trajectory of steps = 1"),
        ("iterations=0", r"'iterations' = 0: .*greater than or equal to 1"),
        ("precision=fp8", r"'precision' = 'fp8': .*'auto', 'no' or 'bf16'"),
        ("method=3", r"'method' = 3"),
        ("beta", r"--set 'beta': write it as key=value"),
        ("=3", r"--set '=3': write it as key=value"),
        ("method.=3", r"--set 'method\.=3': write it as key=value"),
        ("reward_options.'./my.py=3", r"write it as key=value"),
    ],
)
def test_an_impossible_setting_is_explained(setting, text):
    with pytest.raises(UserError, match=text):
        build_config(TrainConfig, settings=[setting])


def test_an_option_of_the_other_stage_is_unknown():
    with pytest.raises(UserError, match=r"unknown config key 'method\.group_size'"):
        build_config(DistillConfig, settings=["method.group_size=8"])


def test_every_problem_is_named():
    with pytest.raises(UserError, match=r"(?s)'seed'.*'iterations'|'iterations'.*'seed'"):
        build_config(TrainConfig, settings=["seed=-1", "iterations=0"])


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read the config .*none\.toml"):
        build_config(TrainConfig, file=tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("seed = \n")
    with pytest.raises(UserError, match=r"bad\.toml is not valid TOML.*line 1"):
        build_config(TrainConfig, file=tmp_path / "bad.toml")


def test_an_unknown_preset_names_the_others():
    with pytest.raises(UserError, match=r"unknown preset 'x'; there are: .*shapes-train"):
        build_config(TrainConfig, "x")


def test_a_config_survives_its_file():
    built = build_config(TrainConfig, settings=["method.clip=none", "prompt_weights.counting=2"])
    assert validated(TrainConfig, built.model_dump(mode="json")) == built


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("iterations=1e23", "iterations"),
        ("iterations=100000000000000000000000", "iterations"),
        ("iterations=inf", "iterations"),
        ("seed=9223372036854775808", "seed"),
        ("reward_timeout=inf", "reward_timeout"),
        ("reward_timeout=nan", "reward_timeout"),
        ("method.beta=inf", "method.beta"),
        ("method.guidance=nan", "method.guidance"),
        ("prompt_weights.counting=nan", "prompt_weights.counting"),
        ("reward_options.ocr.short_side=inf", "reward_options"),
        ("reward_options.ocr.sides=[1.0, nan]", "reward_options"),
    ],
)
def test_what_is_not_finite_is_refused(setting, key):
    with pytest.raises(UserError, match=rf"^config key '{key}") as error:
        build_config(TrainConfig, settings=[setting])
    assert re.search(r"finite|too large|maximum size", str(error.value))


def test_an_argument_that_is_too_large_is_refused():
    with pytest.raises(UserError, match="'iterations'"):
        build_config(TrainConfig, overrides={"iterations": 10**23})


@pytest.mark.parametrize(
    ("settings", "precision"),
    [
        (["model=ORG/NAME"], "auto"),
        (["model=ORG/NAME", "generator.resolution=512"], "auto"),
        (["model=ORG/NAME", "precision=no"], "no"),
        (["model=ORG/NAME", "generator.dtype=float32"], "no"),
        (["model=tiny"], "no"),
        ([], "no"),
    ],
)
def test_a_pipeline_in_bfloat16_computes_in_it(presets, site, settings, precision):
    presets()
    assert build_config(TrainConfig, settings=settings).precision == precision


def test_a_preset_says_the_precision_of_its_pipeline(presets):
    presets(mine={"model": "ORG/NAME"})
    assert build_config(TrainConfig, "mine").precision == "no"
