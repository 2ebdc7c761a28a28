from tdmr1.trainers.environment import changes_since, environment, machine_of, versions_of


def test_where_nothing_has_changed_nothing_is_told():
    assert changes_since(environment()) == []


def test_what_has_changed_is_told_with_what_it_was():
    now = environment()
    threads, torch = now["threads"], now["packages"]["torch"]
    changes = {"threads": threads + 1, "packages": {**now["packages"], "torch": "1.0"}}
    assert changes_since({**now, **changes}) == [
        f"torch {torch}, not 1.0",
        f"threads {threads}, not {threads + 1}",
    ]


def test_the_versions_of_our_own_packages():
    packages = {"tdmr1": "0.1", "tdmr1-shapes": "0.2", "torch": "2.13"}
    assert versions_of({"packages": packages}) == {"tdmr1": "0.1", "tdmr1-shapes": "0.2"}


def test_a_machine_in_words():
    found = {"gpu": None, "cpu": "AVX2", "threads": 2, "bfloat16": False}
    assert machine_of(found) == "AVX2, 2 threads, no bfloat16"
    found |= {"gpu": "NVIDIA H100", "threads": 1, "bfloat16": True}
    assert machine_of(found) == "NVIDIA H100, 1 thread"
