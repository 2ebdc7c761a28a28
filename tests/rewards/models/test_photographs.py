from tdmr1.rewards.models.photographs import CAPTIONS, captioned, photograph


def test_each_is_beside_another():
    photographs = [photograph(name) for name in CAPTIONS]
    assert {image.shape for image in photographs} == {(256, 256, 3)}
    assert len({image.tobytes() for image in photographs}) == 3
    for golden, own in zip(captioned(), photographs, strict=True):
        assert (golden.good == own).all() and (golden.bad != own).any()
        assert golden.wrong in CAPTIONS.values() and golden.wrong != golden.prompt
