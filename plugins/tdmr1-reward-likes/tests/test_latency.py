"""From a vote to the next picture: five voters in browsers, pictures of 512 x 512 pixels.

`TDMR1_LIKES_LATENCY=1 python -m pytest -s plugins/tdmr1-reward-likes -k latency` measures it, on a
machine that has nothing else to do.
"""

import os

import numpy as np
import pytest

from tdmr1_reward_likes.pictures import Item

VOTERS, VOTES = 5, 60
VOTE = """async ([votes, pause]) => {
  const image = () => document.querySelector("#card:not([hidden]) #frame img");
  const times = [];
  for (let vote = 0; vote < votes; vote++) {
    while (like.ariaDisabled !== "false") await new Promise((go) => setTimeout(go, 1));
    await new Promise((go) => setTimeout(go, pause));
    const before = image(), began = performance.now();
    like.click();
    const ahead = image()?.complete ?? false;
    while (!image() || image() === before) await new Promise((go) => setTimeout(go));
    await image().decode();  // then it is in the next frame
    times.push([ahead, performance.now() - began]);
  }
  return times;
}"""


@pytest.mark.skipif("TDMR1_LIKES_LATENCY" not in os.environ, reason="TDMR1_LIKES_LATENCY is unset")
@pytest.mark.parametrize(("pause", "limit"), [(700, 16), (0, 100)])
def test_latency(serve_pages, join, pause, limit):
    voting, address = serve_pages(rate=10_000)
    rng = np.random.default_rng(0)
    for iteration in range(4):
        images = rng.integers(0, 256, (100, 512, 512, 3), np.uint8) // 32 * 32
        voting.store.post("run", iteration, [Item(image, "a star") for image in images])
    pages = [join(address, name=f"voter {number}") for number in range(VOTERS)]
    for page in pages:
        page.wait_for_selector("#frame img")
        page.wait_for_load_state("networkidle")
        # Not waited for here, so that all vote at once.
        page.evaluate(f"args => {{ window.told = ({VOTE})(args); }}", [VOTES, pause])
    times = [told for page in pages for told in page.evaluate("window.told")]
    spent = [time for _, time in times]
    ahead = np.mean([is_ahead for is_ahead, _ in times])
    median, late = np.percentile(spent, [50, 95])
    print(f"\npause {pause} ms: {ahead:.0%} ahead; median {median:.1f} ms, 95 % {late:.1f} ms")
    assert late < limit
