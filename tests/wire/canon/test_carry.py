"""What a refusal of something uncarried tells its reader to do."""

from __future__ import annotations

import pytest

from baseload.wire.canon.carry import Loss, Target, Uncarried


def refused(feature: str, lossless: bool = False) -> Uncarried:
    with pytest.raises(Uncarried) as caught:
        Loss(Target(protocol="converse", lossless=lossless)).lose(feature, "messages.0.content.1")
    assert caught.value.param == "messages.0.content.1"
    assert caught.value.say.startswith("messages.0.content.1 ")
    return caught.value


def test_a_url_is_replaced_by_its_content():
    refusal = refused("media.url")
    assert "is a URL" in refusal.say
    assert refusal.fix.startswith("Send the content itself, as base64 data, or ask for a model")


@pytest.mark.parametrize(("feature", "lossless"), [("tool.custom", False), ("seed", True)])
def test_anything_else_is_left_out(feature, lossless):
    refusal = refused(feature, lossless)
    assert "the protocol converse" in refusal.say
    assert refusal.fix.startswith("Leave out messages.0.content.1, or ask for a model")


def test_a_wish_is_named_and_does_not_refuse():
    loss = Loss(Target(protocol="converse"))
    loss.lose("seed", "seed")
    loss.lose("seed", "seed")
    assert loss.dropped == ("seed",)
