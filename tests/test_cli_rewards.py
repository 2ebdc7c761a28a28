import json
import os
import subprocess
import sys

import pytest

from tdmr1.cli import main

WIDE = """
    import typer
    from tdmr1.errors import UserError

    app = typer.Typer()

    @app.command()
    def hello(name: str = "you"):
        print(f"hello {name}")

    @app.command()
    def refuse():
        raise UserError("[red] is not a colour here")

    @app.command()
    def interrupt():
        raise KeyboardInterrupt
"""


@pytest.fixture
def wide(install):
    install("tdmr1-wide", ["wide"], code=WIDE, group="tdmr1.commands", attribute="app")


def test_rewards_list_is_a_table(tdmr1, install):
    install("tdmr1-reward-one", ["one", "[two]"], code="raise RuntimeError('imported')")
    status, out, _ = tdmr1("rewards", "list")
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    rest = ["1.2", "1", "A", "test", "of", "it", "here", "not", "checked"]
    assert ["one", "tdmr1-reward-one", *rest] in rows
    assert ["[two]", "tdmr1-reward-one", *rest] in rows


def test_rewards_list_hides_nothing_on_a_narrow_terminal(tdmr1, install, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    install("tdmr1-reward-inscrutable", ["inscrutable"])
    assert "…" not in tdmr1("rewards", "list")[1]


def test_rewards_list_for_programs(tdmr1, install):
    install("tdmr1-reward-one", ["one"], code="raise RuntimeError('imported')")
    _, out, _ = tdmr1("rewards", "list", "--json")
    assert {
        "name": "one",
        "distribution": "tdmr1-reward-one",
        "version": "1.2",
        "contract": 1,
        "summary": "A test of it",
        "place": "here",
        "python": sys.executable,
        "status": "not checked",
    } in json.loads(out)


def test_rewards_list_of_nothing_says_what_to_install(tdmr1, monkeypatch):
    monkeypatch.setattr("tdmr1.rewards.discovery.packages.entry_points", lambda group: [])
    assert tdmr1("rewards", "list")[2].startswith("no reward is installed; try: pip install")
    assert json.loads(tdmr1("rewards", "list", "--json")[1]) == []


def test_rewards_list_verifies_in_processes_of_their_own(tdmr1, install, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TDMR1_REWARDS", "one")
    install("tdmr1-reward-one", ["one"], code="raise RuntimeError('no weights')")
    status, out, _ = tdmr1("rewards", "list", "--verify", "--json")
    assert status == 1
    (found,) = json.loads(out)
    assert found["status"].startswith("broken: ")
    assert "RuntimeError: no weights; try: pip install" in found["status"]
    assert "tdmr1_reward_one" not in sys.modules


def test_rewards_list_says_what_the_variable_hides(tdmr1, install, monkeypatch):
    install("tdmr1-reward-one", ["one", "two"], code="")
    monkeypatch.setenv("TDMR1_REWARDS", "one")
    status, out, err = tdmr1("rewards", "list", "--json")
    assert [reward["name"] for reward in json.loads(out)] == ["one"]
    assert err.startswith("hidden by the environment variable TDMR1_REWARDS: ")
    assert "two" in err
    assert status == 0


def test_version(tdmr1):
    assert tdmr1("--version") == (0, "tdmr1 0.1.0\n", "")


def test_help_lists_a_package_s_command_by_its_summary(tdmr1, wide):
    status, out, _ = tdmr1("--help")
    assert status == 0
    assert ["wide", "A", "test", "of", "it"] in [line.split() for line in out.splitlines()]
    assert "tdmr1_wide" not in sys.modules


def test_a_package_s_command_is_imported_when_invoked(tdmr1, wide):
    assert tdmr1("wide", "hello", "--name", "there") == (0, "hello there\n", "")
    assert "Usage: tdmr1 wide hello" in tdmr1("wide", "hello", "--help")[1]


def test_a_package_cannot_replace_a_command_of_ours(tdmr1, install):
    install("tdmr1-wide", ["rewards"], code=WIDE, group="tdmr1.commands", attribute="app")
    assert "list" in tdmr1("rewards", "--help")[1]
    assert "tdmr1_wide" not in sys.modules


def test_a_function_is_a_command_without_sub_commands(tdmr1, install):
    code = "def add(a: int, b: int = 1): print(a + b)"
    install("tdmr1-add", ["add"], code=code, group="tdmr1.commands", attribute="add")
    assert tdmr1("add", "2", "--b", "3") == (0, "5\n", "")


def test_a_missing_module_says_what_to_install(tdmr1, install):
    install("tdmr1-gap", ["gap"], "import no_such_module", "tdmr1.commands", "app")
    status, _, err = tdmr1("gap", "anything")
    assert status == 1
    assert err == (
        "error: `tdmr1 gap` cannot start: No module named 'no_such_module'\n"
        'try: pip install "no_such_module"\n'
    )


def test_our_own_command_without_torch_says_which_extra_to_install(tdmr1, monkeypatch):
    monkeypatch.setitem(sys.modules, "tdmr1.cli.train", None)  # an import of it now fails
    status, _, err = tdmr1("train")
    assert status == 1
    assert err.startswith("error: `tdmr1 train` cannot start: ")
    assert err.endswith("try: pip install 'tdmr1[train]'\n")


def test_a_user_error_is_its_text_alone(tdmr1, wide):
    assert tdmr1("wide", "refuse") == (1, "", "error: [red] is not a colour here\n")


@pytest.mark.parametrize("how", ["option", "environment"])
def test_debug_lets_the_traceback_through(monkeypatch, wide, how):
    from tdmr1.errors import UserError

    monkeypatch.setenv("TDMR1_DEBUG", "1" if how == "environment" else "")
    debug = ["--debug"] if how == "option" else []
    monkeypatch.setattr(sys, "argv", ["tdmr1", *debug, "wide", "refuse"])
    with pytest.raises(UserError):
        main()


def test_ctrl_c_has_its_own_exit_status(tdmr1, wide):
    assert tdmr1("wide", "interrupt")[0] == 130


def test_a_mistyped_command_names_the_nearest(tdmr1):
    status, _, err = tdmr1("trian")
    assert status == 2
    assert "Did you mean 'train'?" in err


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["rewards", "--help"], ["rewards", "list"]],
)
def test_looking_around_imports_neither_torch_nor_a_plugin(tmp_path, install, arguments):
    for number in range(19):
        install(f"tdmr1-reward-n{number}", [f"n{number}"], code="raise RuntimeError('imported')")
    install("tdmr1-reward-heavy", ["heavy"], code="import torch")
    code = "import atexit, sys; from tdmr1.cli import main;"
    code += "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    if arguments[-1] == "list":
        assert {"n0", "n18", "heavy"} <= set(result.stdout.split())
    imported = {module.partition(".")[0] for module in result.stderr.split()}
    assert "tdmr1" in imported
    assert not {"torch", "numpy", "PIL", "cv2"} & imported
    assert {name for name in imported if name.startswith("tdmr1_")} == set()
