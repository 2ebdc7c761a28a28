import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from tdmr1.core import cards

PAGE = "https://huggingface.co/org/base/blob/main"


def card(text):
    return f"---\n{text}\n---\nA base.\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (card("license: apache-2.0"), {"license": "apache-2.0"}),
        (
            card("license: other\nlicense_name: community\nlicense_link: LICENSE.md"),
            {
                "license": "other",
                "license_name": "community",
                "license_link": f"{PAGE}/LICENSE.md",
            },
        ),
        (
            card("license: other\nlicense_link: https://example.org/it"),
            {"license": "other", "license_link": "https://example.org/it"},
        ),
        (card("tags: [a]"), {}),
        (card("license: ["), {}),
        ("no metadata", {}),
    ],
)
def test_the_licence_is_what_the_card_of_a_base_says(tmp_path, monkeypatch, text, found):
    path = tmp_path / "README.md"
    path.write_text(text)
    monkeypatch.setattr(cards, "hf_hub_download", lambda model, name: str(path))
    assert cards.licence_of("org/base") == found
    assert cards.licence_of(str(tmp_path), "org/base") == found
    link = found.get("license_link", "").replace(PAGE, str(tmp_path))
    assert cards.licence_of(str(tmp_path)).get("license_link", "") == link


def test_without_a_card_no_licence_is_known(tmp_path, monkeypatch):
    def download(model, name):
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(cards, "hf_hub_download", download)
    assert cards.licence_of("org/base") == cards.licence_of(str(tmp_path)) == {}
