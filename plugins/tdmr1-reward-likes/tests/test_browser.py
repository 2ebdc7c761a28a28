"""The pages in headless Chromium, which the distribution brings, by Playwright.

`TDMR1_PICTURES=plugins/tdmr1-reward-likes/images python -m pytest plugins/tdmr1-reward-likes -k
readme` makes the pictures of the README.
"""

import math
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tdmr1_reward_likes.pictures import Item

AXE = Path(__file__).parents[3] / "build" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
with_axe = pytest.mark.skipif(
    not AXE.exists(), reason="no axe-core: npm install --prefix build/axe axe-core@4.14.1"
)
TOKEN = "0123456789abcdef"


def post(voting, count, group=None, iteration=1):
    """Queue pictures, in the order in which they are shown."""
    items = []
    for number in range(count):
        image = np.full((64, 64, 3), (group or 0, iteration, 255 - number), np.uint8)
        items.append(Item(image, "a photo of three stars", group))
    return voting.store.post("run", iteration, items)


def on_screen(page):
    """Id of the picture that is shown."""
    return page.get_attribute("#frame img", "src").removeprefix("/images/").removesuffix(".png")


def wait_to_judge(page, answer="like"):
    """Until what is on the screen can be answered so."""
    page.wait_for_selector(f'#{answer}[aria-disabled="false"]')


def saved(voting, count):
    """Who likes what, once there are so many votes."""
    for _ in range(1200):
        votes = {}
        for vote in voting.store.all_votes():
            votes[vote.image] = vote.liked
        votes = {id: liked for id, liked in votes.items() if liked is not None}
        if len(votes) == count:
            return votes
        threading.Event().wait(0.05)
    raise AssertionError(votes)


def test_all_of_it_by_keyboard_alone(serve_pages, open_page):
    voting, address = serve_pages()
    group = post(voting, 3, group=1, iteration=0)
    first, second, third, fourth = post(voting, 4)
    page = open_page(address)
    page.keyboard.type("Ada")  # the name has the focus
    page.keyboard.press("Enter")
    for key, id in zip(["ArrowRight", "ArrowLeft", "s"], [first, second, third], strict=True):
        wait_to_judge(page)
        assert on_screen(page) == id
        page.keyboard.press(key)
    assert on_screen(page) == fourth
    page.keyboard.press("u")
    page.wait_for_selector(f'#frame img[src*="{third}"]')
    wait_to_judge(page)
    page.uncheck("#keys")
    page.keyboard.press("ArrowRight")  # switched off
    assert on_screen(page) == third
    page.check("#keys")
    page.keyboard.press("ArrowRight")
    wait_to_judge(page)
    page.keyboard.press("ArrowRight")
    assert saved(voting, 4) == {first: True, second: False, third: True, fourth: True}
    page.keyboard.press("Shift+Tab")  # the focus is at the end of the header, or at its beginning
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Groups":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#grid img")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.parentElement.id") == "grid":
            break
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    wait_to_judge(page, "done")
    page.keyboard.press("d")
    found = saved(voting, 7)
    assert [found[id] for id in group] == [True, False, True]


def swipe(page, across, down=0):
    """A finger on the picture."""
    box = page.locator("#frame img").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)
    for step in range(9):
        finger = {"x": x + across * step / 8, "y": y + down * step / 8}
        kind = "touchMove" if step else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [finger]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    touch.detach()


def test_by_a_finger_that_swipes_and_not_by_one_that_scrolls(serve_pages, join):
    voting, address = serve_pages()
    ids = post(voting, 4)
    page = join(address, size="phone", has_touch=True, is_mobile=True)
    for across, down in ((150, 20), (-150, -20), (30, 0)):  # the last one is no more than a twitch
        wait_to_judge(page)
        swipe(page, across, down)
    assert saved(voting, 2) == {ids[0]: True, ids[1]: False}
    page.set_viewport_size({"width": 360, "height": 320})
    swipe(page, 30, -100)
    page.wait_for_function("() => scrollY > 50")
    assert on_screen(page) == ids[2]
    assert page.get_attribute("#card", "style") in ("", None)  # it is where it was
    swipe(page, 150)
    assert saved(voting, 3) == {ids[0]: True, ids[1]: False, ids[2]: True}


def test_by_tap_and_by_dragging(serve_pages, join):
    voting, address = serve_pages()
    ids = post(voting, 5)
    page = join(address, size="phone", has_touch=True, is_mobile=True)
    for button in ("#like", "#dislike"):
        wait_to_judge(page)
        page.tap(button)
    for way in (150, -150, 20):  # the last one is no more than a twitch
        wait_to_judge(page)
        box = page.locator("#frame img").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + way / 2, y)
        page.mouse.move(x + way, y)
        page.mouse.up()
    page.set_viewport_size({"width": 700, "height": 360})  # turned
    prompt, answers = (page.locator(of).bounding_box() for of in ("#prompt", ".answers"))
    assert 0 < prompt["y"] < prompt["y"] + prompt["height"] < answers["y"]
    assert on_screen(page) == ids[4]
    assert [saved(voting, 4)[id] for id in ids[:4]] == [True, False, True, False]


def test_the_next_picture_is_there_before_the_vote(serve_pages, join):
    voting, address = serve_pages()
    voting.lease = 1e9  # and does not ask for them all the time: a timer cannot wait so long
    ids = post(voting, 12)
    page = join(address)
    wait_to_judge(page)
    page.wait_for_load_state("networkidle")
    shown = page.evaluate(
        """() => {
          like.click();  // what follows is the same task: nothing can have been fetched meanwhile
          const image = document.querySelector("#frame img");
          return [image.src, image.complete, image.naturalWidth];
        }"""
    )
    assert shown == [f"{address}/images/{ids[1]}.png", True, 64]


def test_of_a_group_what_is_left_is_disliked_when_the_voter_says_done(serve_pages, join):
    voting, address = serve_pages()
    last, group = post(voting, 1, group=2, iteration=0), post(voting, 4, group=1)
    page = join(address)
    page.goto(f"{address}/groups")
    page.wait_for_selector("#grid img")
    page.click("#grid button >> nth=2")
    page.click("#grid button >> nth=0")
    page.click("#grid button >> nth=0")  # not after all
    assert page.inner_text("#count") == "like 1 of 4"
    assert voting.store.all_votes() == []
    wait_to_judge(page, "done")
    page.dblclick("#done")  # the second click is a slip, of a group that nobody has seen
    assert [saved(voting, 4)[id] for id in group] == [False, False, True, False]
    page.wait_for_selector(f'#grid [data-id="{last[0]}"]')
    page.click("#undo")
    page.wait_for_selector(f'#grid [data-id="{group[0]}"]')
    assert saved(voting, 0) == {}


def test_who_has_not_seen_all_of_a_group_is_not_done(serve_pages, join):
    voting, address = serve_pages()
    group = post(voting, 8, group=1)
    page = join(address, size="phone")
    page.goto(f"{address}/groups")
    page.wait_for_selector("#grid img")
    wait_to_judge(page, "done")
    page.click("#done")
    page.wait_for_selector("text=more to look at before you are done.")
    assert voting.store.all_votes() == []
    for _ in range(60):  # each goes on to those that are next
        page.keyboard.press("d")
        if page.is_hidden("#card"):
            break
        page.wait_for_timeout(100)
    assert saved(voting, 8) == dict.fromkeys(group, False)


def test_who_closes_the_tab_in_the_middle_of_a_group_has_said_nothing(serve_pages, join):
    voting, address = serve_pages()
    group = post(voting, 4, group=1)
    page = join(address)
    page.goto(f"{address}/groups")
    page.wait_for_selector("#grid img")
    wait_to_judge(page, "done")
    page.click("#grid button >> nth=2")
    page.close(run_before_unload=True)
    voting.join("Bob")
    assert voting.lend_groups("Bob", 1) == []  # until the lease has run out
    with voting.store.database.writing() as connection:
        connection.execute("UPDATE leases SET until = lent")
    assert [[lent.id for lent in found] for found in voting.lend_groups("Bob", 1)] == [group]
    assert voting.store.all_votes() == []


def test_who_has_not_seen_a_picture_can_only_skip_it(serve_pages, open_page):
    voting, address = serve_pages()
    _, second, *_ = post(voting, 4, group=1)
    page = open_page(address, may_complain=True)  # of pictures that cannot be loaded
    held = []
    page.route("**/images/*.png", lambda route: held.append(route))
    page.fill("#name", "Ada")
    page.keyboard.press("Enter")
    page.wait_for_selector("#frame img", state="attached")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("s")
    page.wait_for_selector(f'#frame img[src*="{second}"]', state="attached")
    page.click("#like", force=True)
    while len(held) < 4:
        page.wait_for_timeout(10)
    for route in held:
        route.continue_()
    wait_to_judge(page)
    page.keyboard.press("ArrowRight")
    assert saved(voting, 1) == {second: True}
    del held[:]
    page.goto(f"{address}/groups")
    wait_to_judge(page, "skip")
    page.keyboard.press("d")
    for route in held:
        route.abort()
    page.wait_for_selector("text=A picture could not be loaded.")
    page.keyboard.press("d")
    page.keyboard.press("s")
    page.wait_for_selector("text=No picture is waiting for you.")
    assert saved(voting, 1) == {second: True}


def test_the_scripted_voter_sees_what_is_on_the_page(serve_pages, open_page, bench, scenes):
    voting, address = serve_pages()
    ids = voting.store.post("run", 4, [Item(image, "a star") for image in scenes.images[:8]])
    voting.join("Ada")
    bench.vote_on_page(open_page(address, may_complain=True), votes=8, wrong=0.0, seed=0)
    assert saved(voting, 8) == dict(zip(ids, scenes.rule[:8].tolist(), strict=True))


def test_what_cannot_be_saved_is_told_and_sent_again(serve_pages, join):
    voting, address = serve_pages()
    ids = post(voting, 3)
    page = join(address, may_complain=True)  # of requests that fail
    wait_to_judge(page)
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("text=The server cannot be reached. One answer is not saved yet.")
    page.context.set_offline(False)
    assert saved(voting, 1) == {ids[0]: True}
    page.wait_for_selector("#notice", state="hidden")
    with voting.store.database.reading() as connection:
        connection.execute("PRAGMA query_only = ON")  # as where the disk is full
    wait_to_judge(page)
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("text=its disk is full, or fails")
    wait_to_judge(page)
    page.keyboard.press("ArrowLeft")
    with voting.store.database.reading() as connection:
        connection.execute("PRAGMA query_only = OFF")
    assert saved(voting, 3) == {ids[0]: True, ids[1]: True, ids[2]: False}
    page.wait_for_selector("#notice", state="hidden")


def test_new_pictures_appear_and_a_vote_that_does_not_count_is_told(serve_pages, join):
    voting, address = serve_pages()
    page = join(address)
    page.wait_for_selector("text=No picture is waiting for you.")
    page.wait_for_selector("text=New ones appear here by themselves")
    ids = post(voting, 2)
    wait_to_judge(page)
    with voting.store.database.writing() as connection:
        connection.execute("UPDATE leases SET until = lent")  # they have run out
    voting.join("Bob")
    assert [lent.id for lent in voting.lend("Bob", 2)] == ids
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("text=Not counted: this picture was lent to somebody else meanwhile.")
    page.wait_for_selector("text=Those that are left are on the screens of others.")
    assert voting.store.all_votes() == []


def test_a_link_of_another_site_leads_in(serve_pages, open_page):
    """The cookie is SameSite=Strict, so a mere redirect would be asked for the token again."""
    voting, address = serve_pages(token=TOKEN)
    address = address.replace("127.0.0.1", "likes.test")
    (id,) = post(voting, 1)
    page = open_page(f"data:text/html,<a href='{address}/?token={TOKEN}'>vote</a>")
    page.click("a")
    page.wait_for_selector("#name")
    assert page.url == f"{address}/"
    assert page.evaluate("document.cookie") == ""
    page.fill("#name", "Ada")
    page.keyboard.press("Enter")
    wait_to_judge(page)
    page.keyboard.press("ArrowRight")
    assert saved(voting, 1) == {id: True}


@with_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "tablet", "desktop"])
def test_the_pages_can_be_used_by_everybody_and_fit(serve_pages, join, size, scheme):
    voting, address = serve_pages()
    voting.join("Bob")
    for id in post(voting, 3, group=1):
        voting.vote("Bob", id, True)
    post(voting, 4, group=2, iteration=2)
    page = join(address, size=size, color_scheme=scheme)
    for path, there in (("/", "#frame img"), ("/groups", "#grid img"), ("/session", "table")):
        page.goto(address + path)
        page.wait_for_selector(there)
        if path == "/groups":
            page.click("#grid button >> nth=0")
        assert problems(page) == [], path
    page.click(".who button")
    page.wait_for_selector("#name")
    assert problems(page) == []


def problems(page):
    """What axe finds, of any weight, and what does not fit the width."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then((told) => told.violations)")
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return [(of["id"], of["impact"]) for of in found] + ["too wide"] * wide


@pytest.mark.skipif("TDMR1_PICTURES" not in os.environ, reason="TDMR1_PICTURES names no folder")
def test_pictures_of_the_readme(serve_pages, join):
    folder = Path(os.environ["TDMR1_PICTURES"]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    voting, address = serve_pages()
    rng = np.random.default_rng(0)
    prompt, names = "a photo of three stars", iter(("Ada", "Bob", "Cleo", "Dan"))
    for iteration in range(6):
        stars = [Item(three_stars(rng), prompt, 0) for _ in range(10)]
        voting.store.post("run", iteration, stars)
    # Groups first: of those that are begun one by one, the rest would be shown.
    for size, path in (("desktop", "/groups"), ("phone", "/")):
        for scheme in ("light", "dark"):
            touch = {"has_touch": size == "phone", "is_mobile": size == "phone"}
            name = next(names)
            page = join(address, name, size=size, color_scheme=scheme, **touch)
            page.goto(address + path)
            page.wait_for_selector("#card img")
            if path == "/groups":
                for number in (1, 2, 6):
                    page.click(f"#grid button >> nth={number}")
                page.mouse.move(0, 0)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=folder / f"{scheme}-{size}.png")
            page.close()


def three_stars(rng):
    """Stars, or now and then something else, on a pale ground."""
    side, colours = 256, [(214, 45, 45), (32, 120, 215), (245, 180, 30), (40, 160, 80)]
    picture = Image.new("RGB", (side, side), tuple(rng.integers(225, 250, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for x, y in ((70, 75), (186, 90), (120, 188)):
        if rng.random() < 0.15:
            continue
        points, turn, size = rng.choice([5, 5, 5, 2]), rng.random() * 6, rng.integers(34, 50)
        radii = [size, size * 0.45 if points > 2 else size] * points  # of a star, or of a square
        angles = [turn + i * math.pi / points for i in range(2 * points)]
        corners = [
            (x + radius * math.sin(angle), y + radius * math.cos(angle))
            for radius, angle in zip(radii, angles, strict=True)
        ]
        draw.polygon(corners, fill=colours[rng.integers(len(colours))])
    return np.asarray(picture)
