"""The pages and what their scripts ask for, without a browser."""

import io
import re
from html import unescape
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tdmr1_reward_likes.app import MAX_BODY, application
from tdmr1_reward_likes.guard import HEADERS
from tdmr1_reward_likes.pictures import Item
from tdmr1_reward_likes.voting import Sharing, Voting

HOME = "http://127.0.0.1:8070"
TOKEN = "0123456789abcdef"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def serve(voting):
    """A browser of its own: `serve(token=..., rate=...)`, with the page's address."""

    def serve(address=HOME, **options):
        app = application(voting, 8070, **options)
        return TestClient(
            app, base_url=address, follow_redirects=False, raise_server_exceptions=False
        )

    return serve


@pytest.fixture
def ada(serve):
    """Ada's browser."""
    client = serve()
    assert client.post("/join", data={"name": "Ada", "same": "Ada"}).status_code == 303
    return client


def lent(client, count=9, **more):
    return client.post("/api/lend", json={"count": count, **more}).json()


def test_who_comes_first_is_asked_for_a_name(serve, voting):
    client = serve()
    assert "Your name" in client.get("/").text
    joined = client.post("/join", data={"name": "  Cleo "})
    assert (joined.status_code, joined.headers["location"]) == (303, "/")
    assert voting.joined("Cleo")
    assert "Cleo" in client.get("/").text
    client.post("/leave")
    assert "Your name" in client.get("/").text


def test_a_name_that_is_taken_is_asked_about(serve):
    client = serve()
    asked = client.post("/join", data={"name": "ada"})
    assert asked.status_code == 409 and "Somebody called ada" in asked.text
    assert client.post("/join", data={"name": "ada", "same": "ada"}).status_code == 303


def test_what_is_no_name_is_told(serve):
    told = serve().post("/join", data={"name": " "})
    assert told.status_code == 422 and "needs a name" in told.text


def test_a_picture_is_lent_shown_and_voted_on(ada, store, post):
    first, second = post(2, prompt="a star")
    told = lent(ada, 1)
    assert [picture["id"] for picture in told["pictures"]] == [first]
    assert told["pictures"][0]["prompt"] == "a star"
    assert told["progress"] == {"done": 0, "waiting": 2, "seconds_left": None}
    shown = ada.get(f"/images/{first}.png")
    assert shown.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(shown.content)) as image:
        assert (np.asarray(image) == store.pixels(first)).all()
    voted = ada.post("/api/vote", json={"answers": {first: True}}).json()
    assert voted == {"refused": {}, "progress": {"done": 1, "waiting": 1, "seconds_left": None}}
    (vote,) = store.all_votes()
    assert (vote.image, vote.voter, vote.liked) == (first, "Ada", True)
    undone = ada.post("/api/undo", json={}).json()
    assert [picture["id"] for picture in undone["pictures"]] == [first]
    assert store.votes([first]) == {first: []}
    assert second not in str(undone)


def test_groups_are_lent_whole(ada, post):
    old, new = post(2, group=0), post(3, group=0)
    groups = lent(ada, 2, groups=True)["groups"]
    assert [[picture["id"] for picture in group] for group in groups] == [new, old]


def test_a_lease_of_somebody_else_is_told(ada, voting, post):
    mine, gone, others = post(3)
    voting.lend("Bob", 1)
    voting.store.withdraw([gone])
    answers = {mine: True, gone: True, others: False}
    told = ada.post("/api/vote", json={"answers": answers}).json()["refused"]
    assert told[mine] == "this picture was lent to somebody else meanwhile"
    assert told[gone] == "this picture is no longer in the queue"
    assert others not in told


def test_a_picture_that_is_gone_is_not_shown(ada):
    assert ada.get("/images/guessed.png").status_code == 404
    assert "no such page" in ada.get("/images/../store.py").text
    assert ada.get("/static/../app.py").status_code == 404
    assert "another kind of request" in ada.get("/api/vote").text


def test_who_has_not_joined_cannot_vote(serve, post):
    (id,) = post(1)
    for path, body in (
        ("/api/lend", {"count": 1}),
        ("/api/vote", {"answers": {id: True}}),
        ("/api/undo", {}),
    ):
        answer = serve().post(path, json=body)
        assert (answer.status_code, answer.json()) == (401, {"error": "Say who votes first."})


def test_a_page_that_shows_another_voter_does_not_vote(ada, voting, store, post):
    """All pages of a browser share the cookie; in another one Bob may have joined since."""
    (id,) = post(1)
    body = {"answers": {id: True}}
    assert ada.post("/api/vote", json=body, headers={"X-Voter": "Bob"}).status_code == 401
    assert store.all_votes() == []
    name = "Ünal 100%25 🦊"
    ada.post("/join", data={"name": name})
    assert quote(name, safe="") in quote(unescape(ada.get("/").text), safe="")
    assert (
        ada.post("/api/vote", json=body, headers={"X-Voter": quote(name)}).json()["refused"] == {}
    )
    assert store.all_votes()[0].voter == name


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/lend", "{"),
        ("/api/lend", '{"count": 0}'),
        ("/api/lend", '{"count": 1, "voter": "Bob"}'),
        ("/api/vote", '{"answers": {"x": 1}}'),
        ("/api/vote", '{"answers": {}}'),
        ("/api/vote", '{"answers": ["x"]}'),
        ("/api/undo", "[]"),
    ],
)
def test_nonsense_is_refused(ada, path, body):
    answer = ada.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 and answer.json()["error"]


def test_a_form_cannot_vote_and_nothing_too_long_is_read(ada):
    assert ada.post("/api/lend", data={"count": 1}).status_code == 415
    long = {"answers": {"x" * MAX_BODY: True}}
    assert ada.post("/api/vote", json=long).status_code == 413


def test_a_full_disk_refuses_the_vote_and_says_so(ada, store, post):
    (id,) = post(1)
    lent(ada)
    with store.database.reading() as connection:
        connection.execute("PRAGMA query_only = ON")  # fails like one, at every write
    answer = ada.post("/api/vote", json={"answers": {id: True}})
    assert answer.status_code == 507
    assert "could not read or save this" in answer.json()["error"]
    assert str(store.path) not in answer.text
    with store.database.reading() as connection:
        connection.execute("PRAGMA query_only = OFF")
    assert store.all_votes() == []
    assert ada.post("/api/vote", json={"answers": {id: True}}).json()["refused"] == {}


def test_a_queue_that_is_replaced_or_damaged_takes_no_vote(ada, store, post):
    (id,) = post(1)
    store.path.rename(store.path.with_name("moved.sqlite"))
    for _ in range(2):
        answer = ada.post("/api/vote", json={"answers": {id: True}})
        assert answer.status_code == 507 and "could not read or save" in answer.json()["error"]
        store.path.touch()  # as another server would begin it
    store.path.with_name("moved.sqlite").rename(store.path)
    with store.database.reading() as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET rootpage = 9999 WHERE name = 'answers'")
        connection.execute("PRAGMA writable_schema = RESET")
    assert ada.post("/api/vote", json={"answers": {id: True}}).status_code == 507


def test_what_others_wrote_is_text(serve, store, voting):
    image = np.zeros((8, 8, 3), np.uint8)
    (id,) = store.post(EVIL, 1, [Item(image, EVIL)])
    store.note(EVIL, {EVIL: 1.0})
    client, other = serve(), Voting(store, Sharing(1.0, 2))
    client.post("/join", data={"name": EVIL})
    for voter, liked in ((EVIL, True), ("Bob", False)):
        other.vote(voter, id, liked)
    for path in ("/", "/groups", "/session"):
        text = client.get(path).text
        assert EVIL not in text and "&lt;script&gt;" in text
    assert EVIL not in client.post("/join", data={"name": EVIL}).text


def test_the_session_shows_what_has_come_of_it(ada, store, voting, post, clock):
    shared, alone = post(2, run="mine", wanted=2)
    voting.vote("Ada", shared, True)
    voting.vote("Bob", shared, False)
    clock.now += 7200
    voting.vote("Ada", alone, True)
    post(3, run="other", iteration=7)
    store.note("mine", {"new/figure": 2.0, "memory/agreement": 0.75})
    text = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", ada.get("/session").text))
    assert "Votes 3 1 in the last hour" in text
    assert "Liked 67 % of all votes" in text
    assert "1 shared picture, 0 % of their votes alike" in text
    assert "Waiting 4 pictures" in text  # one more vote of `alone` is wanted
    assert "other 3 0 7" in text
    assert "Ada 2 100 % 0" in text
    assert "foresees them (0.5 is chance, 1 is always) 0.75 new/figure 2 " in text
    assert "1 of 2 like it: a star" in text


def test_the_link_s_token_becomes_a_cookie(serve):
    client = serve("http://box:8070", token=TOKEN)
    assert client.get("/").status_code == 401
    come_in = client.get(f"/?token={TOKEN}")
    cookie = come_in.headers["set-cookie"].lower()
    assert come_in.status_code == 200 and 'content="0; url=/"' in come_in.text
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert "Your name" in client.get("/").text
    joined = client.post("/join", data={"name": "Cleo"}).headers["set-cookie"].lower()
    assert "httponly" in joined and "samesite=strict" in joined


@pytest.mark.parametrize("path", ["/", "/session", "/images/x.png", "/api/lend", "/nowhere"])
@pytest.mark.parametrize("token", ["", "?token=wrong", "?token=", "?token=%ff%00"])
def test_a_wrong_token_or_none_opens_nothing(serve, path, token):
    client = serve("http://box:8070", token=TOKEN)
    method = "POST" if path.startswith("/api") else "GET"
    answer = client.request(method, path + token)
    assert answer.status_code == 401
    assert "link is not complete" in answer.text and "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "host", ["x/static/", "x/static/#", "x/static/?", "/static/", "[/static/"]
)
def test_no_name_of_a_host_goes_around_the_token(serve, host):
    client = serve("http://box:8070", token=TOKEN)
    for path in ("/session", "/images/x.png", "/?token=wrong"):
        assert client.get(path, headers={"Host": host}).status_code == 401


def test_tokens_cannot_be_guessed_fast(serve):
    client = serve("http://box:8070", token=TOKEN)
    answers = [client.get(f"/?token=wrong{number}").status_code for number in range(20)]
    assert set(answers) == {401, 429} and answers.count(401) < 12


def test_who_asks_too_fast_is_told_to_wait(serve):
    client = serve(rate=0.5)
    answers = [client.get("/") for _ in range(4)]
    assert [answer.status_code for answer in answers[:2]] == [200] * 2
    assert answers[-1].status_code == 429 and "wait a moment" in answers[-1].text
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("origin", ["http://evil", "https://127.0.0.1:8071", "null", "http://["])
def test_another_page_cannot_write_in_a_voter_s_name(ada, post, store, origin):
    (id,) = post(1)
    for path, body in (
        ("/api/vote", {"answers": {id: True}}),
        ("/api/lend", {"count": 1}),
        ("/api/undo", {}),
    ):
        assert ada.post(path, json=body, headers={"Origin": origin}).status_code == 403
    forms = [ada.post(path, headers={"Origin": origin}) for path in ("/join", "/leave")]
    assert {form.status_code for form in forms} == {403}
    assert store.all_votes() == []
    own = {"Origin": HOME}
    assert ada.post("/api/vote", json={"answers": {id: True}}, headers=own).status_code == 200


def test_a_name_that_points_to_this_machine_is_not_answered(serve):
    for host in ("evil.example:8070", "", "127.0.0.1.evil", "[", "127.0.0.1@evil"):
        assert serve().get("/", headers={"Host": host}).status_code == 421, host
    for host in ("127.0.0.1:9000", "localhost:1", "[::1]:8070"):
        assert serve().get("/", headers={"Host": host}).status_code == 200, host


def test_every_answer_forbids_what_the_pages_do_not_need(ada, monkeypatch):
    answers = [ada.get(path) for path in ("/", "/session", "/nowhere", "/static/page.css")]
    answers += [ada.post("/api/lend", json={"count": 1}), ada.post("/leave")]
    answers.append(ada.get("/", headers={"Host": "evil"}))
    monkeypatch.setattr(Voting, "voter", lambda *_: 1 / 0)
    answers.append(ada.get("/"))
    assert answers[-1].status_code == 500 and "fault of the server" in answers[-1].text
    for answer in answers:
        assert answer.headers.items() >= {name.lower(): v for name, v in HEADERS.items()}.items()
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_the_pages_need_no_inline_script_or_style_and_nothing_of_elsewhere(ada, post, serve):
    post(1)
    pages = [ada.get(path).text for path in ("/", "/groups", "/session", "/nowhere")]
    pages.append(serve().get("/").text)
    for text in pages:
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
        assert not re.search(r"""(?:src|href|action)=["'](?!/)""", text)
