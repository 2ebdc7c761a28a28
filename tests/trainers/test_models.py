import pytest
import torch

from tdmr1.core.options import Options
from tdmr1.core.paths import AbsolutePath, PathOrName
from tdmr1.core.roles import Roles
from tdmr1.errors import UserError
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.models import (
    generator_type,
    load_generator,
    located,
    mixed_precision,
    new_accelerator,
    prepared,
)


def test_an_installed_generator_is_found_by_its_name(site):
    assert load_generator("tiny").name == "tiny"


def test_an_unknown_one_names_the_others(site):
    with pytest.raises(UserError, match=r"unknown generator 'tony'; installed: .*tiny.*\n.*pip"):
        load_generator("tony")


def test_a_broken_one_says_what_to_reinstall(site):
    with pytest.raises(UserError, match=r"(?s)'broken' cannot be imported.*reinstall tdmr1-tiny"):
        load_generator("broken")


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_precision_is_that_of_every_network_evaluation(generator, fresh_accelerator, precision):
    """Inside the network, for every role; and what comes out is float32 again."""
    roles = Roles(prepared(generator, new_accelerator(precision, 0)), 2, 4.0)
    student = roles.add("student", trainable=True)
    inside = []
    generator.network.outer.register_forward_hook(lambda *given: inside.append(given[-1].dtype))
    x = torch.randn(2, *generator.latent_shape)
    for role in (roles.teacher, student):
        v = role.velocity(x, torch.tensor(0.5), generator.encode(["a", "b"]))
        assert v.dtype == torch.float32
    assert inside == [torch.bfloat16 if precision == "bf16" else torch.float32] * 2


@pytest.mark.parametrize(
    ("told", "chosen"), [({"avx512_bf16": True}, "bf16"), ({"avx512_f": True}, "no"), ({}, "no")]
)
def test_auto_is_bfloat16_where_the_processor_computes_in_it(monkeypatch, told, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert mixed_precision("auto") == chosen
    assert [mixed_precision(p) for p in ("no", "bf16")] == ["no", "bf16"]


def test_autocast_sees_what_an_optimiser_has_changed(generator, fresh_accelerator):
    roles = Roles(prepared(generator, new_accelerator("bf16", 0)), 2, 4.0)
    student = roles.add("student", trainable=True)
    x, condition = torch.randn(2, *generator.latent_shape), generator.encode(["a", "b"])
    before = student.velocity(x, torch.tensor(0.5), condition)
    with torch.no_grad():
        for parameter in student.parameters().values():
            parameter += 0.5
    assert not torch.equal(student.velocity(x, torch.tensor(0.5), condition), before)


@pytest.fixture
def flux(tmp_path):
    """A folder with a pipeline's index, of a class that nobody registered."""
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    return tmp_path


def test_a_pipeline_goes_to_the_generator_of_its_class(flux, install):
    install(
        "tdmr1-flux",
        ["FluxPipeline"],
        """
        from tdmr1.core.generator import Generator
        from tdmr1.core.options import Options

        class FluxOptions(Options):
            resolution: int = 1024

        class Flux(Generator):
            options = FluxOptions

            @classmethod
            def load(cls, folder, options):
                return folder, options.resolution
        """,
        group="tdmr1.generators",
        attribute="Flux",
    )
    assert load_generator(str(flux)) == (flux, 1024)
    assert load_generator(str(flux), {"resolution": 512}) == (flux, 512)
    with pytest.raises(UserError, match=r"'generator\.resolution' = 'big'"):
        load_generator(str(flux), {"resolution": "big"})


def test_a_pipeline_that_nobody_takes_says_who_takes_which(flux, site):
    with pytest.raises(UserError, match=r"is a FluxPipeline, .*there are: .*tiny.*\n.*pip"):
        load_generator(str(flux))


def test_a_generator_without_options_refuses_them(site):
    with pytest.raises(UserError, match=r"'generator\.resolution'; there are: none"):
        load_generator("tiny", {"resolution": 512})


def test_paths_of_a_model_are_the_same_from_any_folder(site, tmp_path, monkeypatch):
    class Located(Options):
        folder: AbsolutePath | None = None
        decoder: PathOrName | None = None
        size: int = 1

    monkeypatch.setattr(generator_type("tiny"), "options", Located)
    monkeypatch.chdir(tmp_path)
    for name in ("tiny", "mine"):
        (tmp_path / name).mkdir()
    assert TrainConfig(model="mine").model == str(tmp_path / "mine")
    assert TrainConfig(model="tiny").model == "tiny"
    assert TrainConfig(model="org/name").model == "org/name"
    config = TrainConfig(model="tiny", generator={"folder": "new", "decoder": "mine"})
    assert located(config).generator == {
        "folder": str(tmp_path / "new"),
        "decoder": str(tmp_path / "mine"),
    }
    config = TrainConfig(model="tiny", generator={"decoder": "org/name"})
    assert located(config).generator == {"decoder": "org/name"}
