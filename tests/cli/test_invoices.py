"""`baseload invoices` against a real control plane."""

from __future__ import annotations

import pytest

from baseload import store
from baseload.control.services.times import month_ns
from baseload.ledger.amend import adjust

MONTH = ("--account", "default", "--month", "2026-10")


@pytest.fixture
def owing(control):
    """Beside the running control plane, as its settlement would: 10.00 USD owed for October 2026."""
    engine = store.open(f"sqlite:///{control.cli.home}/baseload.db")
    adjust(engine, "default", 10 * 10**9, "USD", key="usd", memo="set-up", at_ns=month_ns("2026-10")[0])
    store.dispose(engine)
    return control.cli


def test_a_month_is_declared_issued_written_and_credited(owing, tmp_path):
    run = owing
    shown = run("invoices", "settings", "--name", "Grid Ltd", "--tax", "VAT=19", "--json").json["settings"]
    assert shown["taxes"] == [{"name": "VAT", "percent": "19"}]
    assert run("invoices", "settings", "--series", "EU", "--json").json["settings"]["seller"]["name"] == "Grid Ltd"
    draft = run("invoices", "preview", *MONTH)
    assert (draft.code, draft.rows[0]["text"]) == (0, "set-up")
    assert "total 11.90 USD" in draft.err
    issued = run("invoices", "issue", "--all", "--month", "2026-10")
    assert (issued.code, [row["number"] for row in issued.rows]) == (0, ["EU-2026-000001"])
    assert run("invoices", "issue", *MONTH, "--json").json["invoices"][0]["made"] is False
    number = "EU-2026-000001"
    done = run("invoices", "credit", number, "--line", "1=2.50", "--reason", "too much", "--key", "k")
    assert (done.code, done.rows[0]["amount"]) == (0, "-2.50")
    assert run("invoices", "credit", number, "--line", "1=7.51", "--reason", "too much").code == 1
    whole = run("invoices", "credit", number, "--whole", "--reason", "all of it")
    assert (whole.code, "--key " in whole.err) == (0, True)
    assert [row["kind"] for row in run("invoices", "list").rows] == ["invoice", "credit_note", "credit_note"]
    assert "EU-2026-000002" in run("invoices", "show", number).err
    assert run("invoices", "show", number, "--json").json["left"] == {"1": 0}
    assert run("invoices", "show", "2026-000009").code == 3
    for format, magic in (("pdf", b"%PDF-"), ("csv", b"number,"), ("parquet", b"PAR1")):
        file = tmp_path / f"x.{format}"
        assert run("invoices", format, number, "--output", str(file)).code == 0
        assert file.read_bytes().startswith(magic)
        assert run("invoices", format, *MONTH, "--output", str(file)).code == 0
        assert file.read_bytes().startswith(magic)
    assert run("invoices", "csv", number).out.startswith("number,")
    assert run("invoices", "pdf").code == 2
    assert run("invoices", "pdf", number, "--output", str(tmp_path / "no" / "x.pdf")).code == 2
