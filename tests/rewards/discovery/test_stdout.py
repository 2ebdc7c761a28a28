import os
import subprocess
import sys

import pytest

from tdmr1.rewards.discovery.stdout import stdout_to_stderr


def test_what_anybody_prints_goes_to_the_standard_error(capfd):
    print("before")
    with stdout_to_stderr():
        print("from Python")
        os.write(1, b"from C\n")
        subprocess.run([sys.executable, "-c", "print('from a process')"], check=True)
    print("after")
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert sorted(err.splitlines()) == ["from C", "from Python", "from a process"]


def test_an_error_restores_it(capfd):
    with pytest.raises(ValueError), stdout_to_stderr():
        raise ValueError
    print("after")
    assert capfd.readouterr().out == "after\n"
