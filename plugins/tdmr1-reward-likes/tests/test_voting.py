import numpy as np
import pytest

from tdmr1_reward_likes.errors import NameInvalid, VoteRefused, VoterUnknown
from tdmr1_reward_likes.pictures import Item, Vote
from tdmr1_reward_likes.voting import Progress, Sharing, Voting


def ids(lent):
    return [each.id for each in lent]


def test_the_newest_post_comes_first_and_of_it_what_is_least_certain(store, voting):
    def items(first, *uncertainties):
        return [
            Item(np.full((4, 4, 3), first + number, np.uint8), "x", None, uncertainty)
            for number, uncertainty in enumerate(uncertainties)
        ]

    old = store.post("run", 1, items(0, 0.9, 0.1))
    new = store.post("run", 2, items(10, 0.2, 0.8, 0.8))
    assert ids(voting.lend("Ada", 9)) == [new[1], new[2], new[0], *old]


def test_a_picture_is_lent_to_one_voter_at_a_time(voting, post):
    waiting = post(3)
    assert ids(voting.lend("Ada", 2)) == waiting[:2]
    assert ids(voting.lend("Bob", 2)) == waiting[2:]
    assert ids(voting.lend("Ada", 2)) == waiting[:2]  # a page that is loaded again


def test_a_lease_that_runs_out_goes_back(voting, post, clock):
    waiting = post(1)
    voting.lend("Ada", 1)
    clock.now += voting.lease - 1
    assert voting.lend("Bob", 1) == []
    clock.now += 1
    assert ids(voting.lend("Bob", 1)) == waiting
    with pytest.raises(VoteRefused, match="lent to somebody else"):
        voting.vote("Ada", waiting[0], True)
    voting.vote("Bob", waiting[0], False)
    assert [vote.voter for vote in voting.store.all_votes()] == ["Bob"]


def test_a_lease_that_ran_out_is_still_its_voter_s_while_nobody_else_has_it(voting, post, clock):
    (id,) = post(1)
    voting.lend("Ada", 1)
    clock.now += 1e6
    voting.vote("Ada", id, True)
    assert voting.lend("Bob", 1) == []


def test_a_lease_of_somebody_else_cannot_be_voted_on(voting, post):
    (id,) = post(1)
    voting.lend("Ada", 1)
    with pytest.raises(VoteRefused, match="lent to somebody else"):
        voting.vote("Bob", id, True)
    voting.vote("Ada", id, True)
    with pytest.raises(VoteRefused, match="lent to somebody else"):
        voting.vote("Bob", id, True)


def test_a_clock_that_is_set_back_keeps_no_picture_away(voting, post, clock):
    first, second = post(2)
    voting.lend("Ada", 1)
    clock.now -= 3600
    assert ids(voting.lend("Bob", 2)) == [first, second]
    voting.vote("Bob", first, True)
    clock.now -= 3600
    voting.vote("Bob", second, False)
    assert [vote.image for vote in voting.store.all_votes()] == [first, second]
    assert voting.progress("Bob").seconds_left is None


def test_nobody_is_shown_a_picture_twice(voting, post):
    answered = post(3, wanted=2)
    for id, liked in zip(ids(voting.lend("Ada", 3)), (True, False, None), strict=True):
        voting.vote("Ada", id, liked)
    assert voting.lend("Ada", 9) == []
    assert ids(voting.lend("Bob", 9)) == answered


def test_what_one_skipped_is_another_s(voting, post):
    (id,) = post(1)
    voting.lend("Ada", 1)
    voting.vote("Ada", id, None)
    assert ids(voting.lend("Bob", 1)) == [id]
    assert voting.store.all_votes() == []


def test_the_same_answer_once_more_counts_once(voting, post):
    (id,) = post(1)
    voting.lend("Ada", 1)
    for _ in range(3):
        voting.vote("Ada", id, True)
    assert len(voting.store.all_votes()) == 1
    with pytest.raises(VoteRefused, match="undo"):
        voting.vote("Ada", id, False)


def test_a_picture_that_is_gone_cannot_be_voted_on(voting, post):
    (id,) = post(1)
    voting.store.withdraw([id])
    with pytest.raises(VoteRefused, match="no longer in the queue"):
        voting.vote("Ada", id, True)


def test_several_answers_are_one_step_of_undo(voting, post):
    one, *group = post(4)
    lent = voting.lend("Ada", 4)
    voting.vote("Ada", one, True)
    voting.store.withdraw(["other"])
    assert voting.vote_all("Ada", {**dict.fromkeys(group, False), "other": True}) == {
        "other": "this picture is no longer in the queue"
    }
    assert voting.progress("Ada").waiting == 0
    assert sorted(ids(voting.undo("Ada"))) == sorted(group)
    assert [vote.liked for vote in voting.store.votes([one])[one]] == [True]
    assert voting.store.votes(group) == {id: [] for id in group}
    assert voting.undo("Ada") == lent[:1]
    assert voting.undo("Ada") == []
    assert voting.lend("Bob", 9) == []  # they are Ada's again


def test_what_is_taken_back_does_not_wait_where_others_have_said_enough(voting, post):
    (id,) = post(1)
    voting.lend("Ada", 1)
    voting.store.record([Vote(id, "Cleo", True, 1e9, 0)])  # e.g. by an import
    voting.vote("Ada", id, True)
    voting.undo("Ada")
    assert voting.progress("Bob").waiting == 0


def test_some_pictures_are_shown_to_several_voters(store, voting, post):
    waiting = post(200)
    voting = Voting(store, Sharing(share=0.25, voters=2))
    assert ids(voting.lend("Ada", 200)) == waiting
    shared = ids(voting.lend("Bob", 200))
    voting.join("Cleo")
    assert 20 < len(shared) < 80  # 50, by chance
    assert voting.lend("Cleo", 200) == []
    for voter in ("Ada", "Bob"):
        assert voting.vote_all(voter, dict.fromkeys(shared, True)) == {}
    assert voting.progress("Cleo").waiting == 200 - len(shared)


def test_another_share_counts_from_the_next_start(store, voting, post):
    (id,) = post(1)
    voting.lend("Ada", 1)
    voting.vote("Ada", id, True)
    assert voting.lend("Bob", 1) == []
    assert ids(Voting(store, Sharing(share=1.0, voters=2)).lend("Bob", 1)) == [id]
    assert Voting(store, Sharing(share=0.0)).progress("Bob").waiting == 0


def test_groups_are_lent_whole(voting, post):
    old, new = post(3, group=0), post(2, group=0, iteration=2)
    alone = post(1)
    found = voting.lend_groups("Ada", 2)
    assert [ids(group) for group in found] == [alone, new]
    assert [ids(group) for group in voting.lend_groups("Bob", 2)] == [old]
    voting.vote_all("Ada", dict.fromkeys(alone, True))
    assert [ids(group) for group in voting.lend_groups("Ada", 2)] == [new]


def test_who_goes_from_single_pictures_to_groups_gives_the_others_back(voting, post):
    second, first = post(2, group=0), post(2, group=1)
    assert ids(voting.lend("Ada", 3)) == [*first, second[0]]
    assert [ids(group) for group in voting.lend_groups("Ada", 1)] == [first]
    assert ids(voting.lend("Bob", 9)) == second


def test_a_voter_who_leaves_in_the_middle_of_a_group_has_said_nothing(voting, post, clock):
    group = post(3, group=0)
    voting.lend_groups("Ada", 1)
    clock.now += voting.lease
    assert voting.store.all_votes() == []
    assert [ids(found) for found in voting.lend_groups("Bob", 1)] == [group]


def test_progress_tells_what_is_left_at_the_pace_of_the_last_answers(voting, post, clock):
    waiting = post(10)
    assert voting.progress("Ada") == Progress(0, 10, None)
    voting.lend("Ada", 10)
    for id in waiting[:4]:
        voting.vote("Ada", id, True)
        clock.now += 2
    assert voting.progress("Ada") == Progress(4, 6, 12.0)
    clock.now += 1e6  # a pause, which counts for half a minute
    voting.vote("Ada", waiting[4], None)
    assert voting.progress("Ada") == Progress(5, 5, 5 * (2 + 2 + 2 + 30) / 4)


def test_the_same_name_is_the_same_voter(voting):
    key = voting.join(" ada ")
    assert voting.voter(key) == "Ada"
    assert voting.join("Ada") == key
    assert voting.joined("ADA") and not voting.joined("Cleo")
    assert voting.voter("guessed") is None


@pytest.mark.parametrize(
    "name", ["", "  ", "x" * 41, "a\x00b", "a\u202eb", "\u200d", "\u0301", "\ud800"]
)
def test_what_is_no_name_is_refused(voting, name):
    with pytest.raises(NameInvalid):
        voting.join(name)


@pytest.mark.parametrize("name", ["李 明", "José", "עדה", "👩\u200d🚀", "<b>Ada</b> & Co", "%2"])
def test_names_are_those_of_all_people(voting, name):
    assert voting.voter(voting.join(name)) == name


def test_who_has_not_joined_is_lent_nothing(voting, post):
    post(1)
    for ask in (
        lambda: voting.lend("Cleo", 1),
        lambda: voting.lend_groups("Cleo", 1),
        lambda: voting.vote("Cleo", "x", True),
        lambda: voting.undo("Cleo"),
        lambda: voting.progress("Cleo"),
    ):
        with pytest.raises(VoterUnknown, match="Cleo"):
            ask()
