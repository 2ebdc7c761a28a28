import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from tdmr1.rewards.checks import inspection
from tdmr1.rewards.discovery.info import info
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import EnvironmentFailed


@pytest.mark.parametrize("key", ["grouped", "weights"])
def test_an_environment_with_another_tdmr1_is_told(tmp_path, monkeypatch, key):
    (tmp_path / "my.py").write_text("def score(samples): pass\n")
    described = info(RewardSpec(f"{tmp_path}/my.py:score")).as_json()
    del described[key]
    child = SimpleNamespace(ask=lambda *given: {"description": described})
    monkeypatch.setattr(inspection, "_process", lambda *given: contextlib.nullcontext(child))
    environment = SimpleNamespace(place=Path("somewhere"))
    monkeypatch.setattr(inspection, "_environment_of", lambda spec: environment)
    with pytest.raises(EnvironmentFailed, match="make it again: tdmr1 rewards install stub"):
        inspection.describe(RewardSpec("stub"))
