"""The command line in the terminal that there is: its width, its codes, its Tab."""

import os
import pty
import re
import subprocess
import sys

import pytest

MAIN = [sys.executable, "-c", "from tdmr1.cli import main; main()"]
COMMANDS = [
    [],
    ["train"],
    ["distill"],
    ["eval"],
    ["generate"],
    ["plan"],
    ["export"],
    ["bench"],
    ["bench", "rewards"],
    ["reproduce"],
    ["rewards"],
    ["rewards", "score"],
    ["rewards", "check"],
    ["rewards", "serve"],
    ["shapes"],
]


def tdmr1(*arguments, **environment):
    done = subprocess.run(
        [*MAIN, *arguments],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def words(text):
    return text.replace("Usage:", "").split()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_the_same_words_in_any_width_and_ends_none_with_an_ellipsis(command):
    wide = tdmr1(*command, "--help", COLUMNS="80")
    narrow = tdmr1(*command, "--help", COLUMNS="40")
    assert words(narrow) == words(wide)
    assert max(map(len, wide.splitlines())) <= 80
    assert max(len(line) for line in narrow.splitlines() if " " in line.strip()) <= 40
    assert not re.search(r"\w\.\.\.$", wide, re.MULTILINE)


def completed(line):
    """What bash offers at the end of a line."""
    words = line.split(" ")
    return tdmr1(
        _TDMR1_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(words),
        COMP_CWORD=str(len(words) - 1),
    ).split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tdmr1 repr", ["reproduce"]),
        ("tdmr1 train --preset shapes-d", ["shapes-dgpo", "shapes-distill"]),
        ("tdmr1 train --reward o", ["ocr"]),
        ("tdmr1 rewards info gene", ["geneval"]),
        ("tdmr1 rewards score gene", ["geneval"]),
        ("tdmr1 reproduce m", ["main"]),
        ("tdmr1 plan --model sh", ["shapes"]),
        ("tdmr1 train --max-reward", ["--max-reward-errors"]),
    ],
)
def test_tab_offers_what_there_is(line, offered):
    assert completed(line) == offered


def test_tab_offers_run_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in ("runs/a", "runs/b", "c[1]"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "config.json").write_text("{}")
    (tmp_path / "other").mkdir()
    assert completed("tdmr1 eval ") == ["c[1]", "runs/a", "runs/b"]
    assert completed("tdmr1 eval runs/b") == ["runs/b"]
    assert completed("tdmr1 train --resume c[") == ["c[1]"]


@pytest.mark.parametrize("command", ["train", "eval", "generate", "export", "bench", "plan"])
def test_neither_help_nor_tab_imports_torch(command):
    code = "import sys; from tdmr1.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print('torch' in sys.modules)"
    for arguments, environment in (
        ([command, "--help"], {}),
        (
            [],
            {
                "_TDMR1_COMPLETE": "complete_bash",
                "COMP_WORDS": f"tdmr1\n{command}\n--mo",
                "COMP_CWORD": "2",
            },
        ),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout.split()[-1] == "False"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_is_told_how(shell):
    assert f"complete_{shell}" in tdmr1(_TDMR1_COMPLETE=f"source_{shell}")


def on_terminal(*arguments, **environment):
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **environment}
    with subprocess.Popen(
        [*MAIN, *arguments], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ):
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # Linux's end of a terminal
            pass
    os.close(ours)
    return shown.decode()


@pytest.mark.parametrize("command", [["rewards", "list"], ["rewards", "info", "ocr"], ["--help"]])
def test_no_color_leaves_no_escapes(command):
    assert "\x1b" not in on_terminal(*command, NO_COLOR="1")


def test_a_pipe_has_no_escapes_and_a_line_a_row_even_if_colours_are_forced():
    lines = tdmr1("rewards", "list", FORCE_COLOR="1", COLUMNS="").splitlines()
    assert len([line for line in lines if line.startswith(("geneval", "ocr"))]) == 2
    assert "\x1b" not in "".join(lines)
