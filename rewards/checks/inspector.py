"""The process at the other end of `inspection.py`: tells of one reward, or checks it.

    python -m tdmr1.rewards.checks.inspector NAME

It is asked over the wire like the process of a worker (`places/child.py`):

    {"op": "info", "reward": "ocr", "options": {}, "path": null or [...]}
        {"description": {...}}

    {"op": "check", ...}, and then {"op": "next"} for each further check
        {"check": "loads", "finding": {"status": "passed", "text": "in 0.1 s", "figures": {...}}}
        {"end": true}

and answers {"error": ...} where there is no such reward.
"""

from __future__ import annotations

import dataclasses

from tdmr1.errors import UserError
from tdmr1.rewards.checks.suite import checking
from tdmr1.rewards.discovery.info import info
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.places.child import Wire, first_request
from tdmr1.rewards.places.messages import error_message
from tdmr1.rewards.places.wire import Header, StreamEnded


def main() -> None:
    """Answer until the wire ends."""
    wire = Wire()
    try:
        request = first_request(wire)
        try:
            wire.send(_answer(wire, request))
        except UserError as error:
            wire.send(error_message(error))
        wire.receive()
    except StreamEnded:
        return


def _answer(wire: Wire, request: Header) -> Header:
    """The last answer to a request."""
    spec = RewardSpec(request["reward"])
    if request["op"] == "info":
        return {"description": info(spec).as_json()}
    for check, finding in checking(spec, request["options"]):
        wire.send({"check": check, "finding": dataclasses.asdict(finding)})
        wire.receive()
    return {"end": True}


if __name__ == "__main__":
    main()
