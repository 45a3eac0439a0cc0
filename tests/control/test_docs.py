"""What is documented is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from baseload.cli import exits
from baseload.cli.app import COMMANDS
from baseload.control import config
from baseload.dispatch.policy import Policy

DOCS = Path(__file__).parents[2] / "docs"
STRUCTS = (
    config.EngineConf,
    config.ProviderConf,
    config.OfferConf,
    config.PriceConf,
    config.TariffConf,
    config.AccountConf,
    config.GroupConf,
)


def test_every_member_of_a_policy_is_documented():
    cells = set(re.findall(r"`([a-z_]+)`", (DOCS / "dispatch" / "policies.md").read_text()))
    assert {field.encode_name for field in msgspec.structs.fields(Policy)} - {"resume"} <= cells


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_field_of_the_file_is_documented(struct):
    cells = set(re.findall(r"`([a-z_]+)`", (DOCS / "configuration.md").read_text()))
    assert {field.encode_name for field in msgspec.structs.fields(struct)} <= cells


def test_every_command_is_documented():
    page = (DOCS / "rooms" / "cli.md").read_text()
    assert [name for name in COMMANDS if f"`{name}" not in page] == []


def test_every_exit_code_is_documented():
    page = (DOCS / "rooms" / "cli.md").read_text()
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.M)}
