"""From a vote to the next picture, with five voters in browsers, and how much of a vote is the
server's.

`TDMR1_LIKES_LATENCY=1 python -m pytest -s plugins/tdmr1-reward-likes -k latency` measures it, on a
machine that has nothing else to do.
"""

import os

import numpy as np
import pytest

from tdmr1_reward_likes.pictures import Item
from tdmr1_reward_likes.store import Store

VOTERS, VOTES = 5, 30
MEMORY = 300
"""MB that the server may have."""
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
@pytest.mark.parametrize(
    ("pictures", "side", "pause", "others", "limit"),
    [
        (200, 512, 700, 700, 16),
        (200, 512, 0, 700, 100),
        (200, 512, 0, 0, 1000),  # faster than people: the browsers want more than two cores have
        (10_000, 64, 700, 700, 16),
        (10_000, 64, 0, 700, 100),
    ],
)
def test_latency(tmp_path, server, port, join, pictures, side, pause, others, limit):
    """Of the first voter, who waits so many milliseconds before each vote; without any, faster
    than pictures are fetched ahead. The others are people, too."""
    psutil = pytest.importorskip("psutil")
    store = Store(tmp_path / "likes.sqlite")
    rng = np.random.default_rng(0)
    for iteration in range(pictures // 100):
        images = rng.integers(0, 256, (100, side, side, 3), np.uint8) // 32 * 32
        store.post("run", iteration, [Item(image, "a star") for image in images])
    store.close()
    with server(store.path, port) as process:
        address = f"http://127.0.0.1:{port}"
        pages = [join(address, f"voter {n}", may_complain=True) for n in range(VOTERS)]
        for page in pages:
            page.wait_for_selector("#frame img")
            page.wait_for_load_state("networkidle")
        serving = psutil.Process(process.pid)
        started = psutil.Process().children(recursive=True)
        drawing = [process for process in started if "chrom" in process.name()]
        before = busy([serving]), busy(drawing)
        for page in pages:  # not waited for here, so that all vote at once
            waits = pause if page is pages[0] else others
            page.evaluate(f"args => {{ window.told = ({VOTE})(args); }}", [VOTES, waits])
        each = [page.evaluate("window.told") for page in pages]
        times, count = each[0], sum(map(len, each))
        spent = busy([serving]) - before[0], busy(drawing) - before[1]
        memory = serving.memory_info().rss / 1e6
        heap = max(page.evaluate("performance.memory.usedJSHeapSize") for page in pages) / 1e6
    ahead = np.mean([is_ahead for is_ahead, _ in times])
    median, late = np.percentile([time for _, time in times], [50, 95])
    cost = [f"{1000 * seconds / count:.1f} ms" for seconds in spent]
    print(
        f"\n{pictures} of {side} px, pause {pause} ms: {ahead:.0%} ahead; median {median:.1f} ms, "
        f"95 % {late:.1f} ms; CPU a vote: server {cost[0]}, browsers {cost[1]}; memory: server "
        f"{memory:.0f} MB, scripts of a page {heap:.1f} MB"
    )
    assert memory < MEMORY
    assert late < limit


def busy(processes):
    """Seconds of CPU that they have had."""
    times = [process.cpu_times() for process in processes]
    return sum(of.user + of.system for of in times)
