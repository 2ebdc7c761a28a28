import sys
import textwrap

import pytest


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install fake distributions, each a module and its metadata, for the time of a test."""
    monkeypatch.syspath_prepend(tmp_path)
    modules_before = set(sys.modules)

    def install(distribution, names, code=None, group="tdmr1.rewards", attribute=""):
        """Make `distribution` 1.2 announce `names` in `group`; `code` is its module's source."""
        module = distribution.replace("-", "_")
        if code is not None:
            (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\nSummary: A test of it\n"
        )
        entries = [f"{name} = {module}{attribute and f':{attribute}'}" for name in names]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *entries]))

    yield install
    for name in set(sys.modules) - modules_before:
        del sys.modules[name]
