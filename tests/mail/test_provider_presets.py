"""The data of providers: whole, and fit to be counted by."""

import re
from zoneinfo import ZoneInfo

import pytest

from ums.mail.email_account import FREE_PORTS, is_host
from ums.mail.provider_presets import PRESETS, Preset, preset_of


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_tells_all_in_both_languages(name: str) -> None:
    preset = PRESETS[name]
    assert is_host(preset.host)
    assert preset.port in {*FREE_PORTS, 587, 994}
    assert preset_of(preset.host.upper()) is preset
    for field in ("account", "password", "from", "limits"):
        for language in ("en", "zh"):
            text = preset.about(field, language)
            assert text == text.strip()
            assert text
        assert re.search(r"[\u4e00-\u9fff]", preset.about(field, "zh"))
    assert bool(preset.quirks_en) == bool(re.search(r"[\u4e00-\u9fff]", preset.quirks_zh))


def test_quirks_that_are_known_are_told() -> None:
    assert "QUIT" in PRESETS["qq"].about("quirks", "zh")
    assert "IMAP ID" in PRESETS["netease163"].about("quirks", "en")


@pytest.mark.parametrize("name", PRESETS)
def test_its_caps_can_be_counted_by(name: str) -> None:
    preset: Preset = PRESETS[name]
    assert len({(cap.seconds, cap.of) for cap in preset.caps}) == len(preset.caps)
    for cap in preset.caps:
        assert cap.count > 0
        assert 1 <= cap.seconds <= 31 * 86400
        if cap.reset:
            at, zone = cap.reset.split(" ")
            assert re.fullmatch(r"[0-2]\d:[0-5]\d", at)
            assert ZoneInfo(zone)
            assert cap.seconds % 86400 == 0
