"""Rows of a New API or One API database -> a plan. Pure.

In:     rows of `channels`, `tokens`, `users`, `options`, as dicts of column to value.
Out:    a `Plan`. A ratio of 1 is 2 USD a million input tokens; output costs CompletionRatio times that, cache reads
        CacheRatio times; a group's ratio multiplies all (QuantumNous/new-api, setting/ratio_setting). 500,000 quota,
        or QuotaPerUnit, are 1 USD.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from baseload.control.imports.plan import KeyWish, Opening, Plan, Table, name_of, unique
from baseload.control.imports.vendors import CHANNELS, Vendor
from baseload.errors import Refusal

SOURCE = "newapi"
ON = 1  # status of channels, tokens and users
RATIO_USD = Decimal(2)  # of a million tokens at ratio 1
QUOTA = Decimal(500_000)
WHY_NOT = {  # columns of a channel that may matter -> why they are not carried
    "param_override": "no rewriting of requests", "header_override": "no rewriting of requests",
    "status_code_mapping": "failures are classified by the vendor's own codes", "setting": "settings of its own",
    "openai_organization": "no such header is sent",
}  # fmt: skip
Rows = list[dict[str, Any]]


def read(tables: dict[str, Rows]) -> Plan:
    """Raises Refusal `import_unreadable`."""
    if "channels" not in tables or "users" not in tables:
        raise Refusal("This is no database of New API or One API: it has no channels.", "Give its one-api.db.",
                      code="import_unreadable")  # fmt: skip
    return _Reader(tables).plan_of(tables)


class _Reader:
    def __init__(self, tables: dict[str, Rows]) -> None:
        self.plan = Plan(SOURCE)
        self._options = {str(row.get("key")): str(row.get("value") or "") for row in tables.get("options", [])}
        self._ratio, self._completion = self._table("ModelRatio"), self._table("CompletionRatio")
        self._cache, self._price = self._table("CacheRatio"), self._table("ModelPrice")
        self._groups = {"default": Decimal(1), **self._table("GroupRatio")}
        per_unit = self._number(self._options.get("QuotaPerUnit"))
        self._quota = per_unit if per_unit and per_unit > 0 else QUOTA
        self._names: set[str] = set()
        self._offers: set[str] = set()
        self._accounts: dict[int, str] = {}

    def plan_of(self, tables: dict[str, Rows]) -> Plan:
        for row in tables["channels"]:
            self._channel(row, f"channels[{row.get('id')}]")
        for group, ratio in sorted(self._groups.items()):
            percent = (ratio - 1) * 100
            if percent <= -100:
                self.plan.say("not carried", f"options.GroupRatio.{group}", str(ratio), "a tariff cannot give all away")
                continue
            if group == "default" and percent == 0:
                continue  # as it is anyway
            self.plan.tariffs.append({"name": _tariff(group), "margin_percent": _plain(percent)})
            self.plan.say("taken", f"options.GroupRatio.{group}", f"tariff {_tariff(group)}: {_plain(percent)} %")
        taken = {"default"}
        for row in tables["users"]:
            self._user(row, f"users[{row.get('id')}]", taken)
        for row in tables.get("tokens", []):
            self._token(row, f"tokens[{row.get('id')}]")
        known = {"ModelRatio", "CompletionRatio", "CacheRatio", "ModelPrice", "GroupRatio", "QuotaPerUnit"}
        others = sorted(set(self._options) - known)
        if others:
            self.plan.say("not carried", "options", ", ".join(others)[:2000], "how that gateway runs")
        for table in ("logs", "redemptions", "abilities"):
            self.plan.say(
                "not carried", table, "", "history and codes stay there" if table != "abilities" else "derived"
            )
        return self.plan

    def _channel(self, row: dict[str, Any], path: str) -> None:
        kind = _whole(row.get("type"))
        vendor = CHANNELS.get(kind)
        label = str(row.get("name") or f"channel-{row.get('id')}")
        if row.get("status") != ON:
            self.plan.say("not carried", path, label, "it is switched off")
            return
        if vendor is None:
            self.plan.say("not carried", path, label, f"channel type {kind} speaks no protocol of ours")
            return
        models = [one.strip() for one in str(row.get("models") or "").split(",") if one.strip()]
        keys = _keys(row)
        for number, key in enumerate(keys or [""]):
            name = unique(name_of(label, "channel"), self._names)
            table: Table = {"name": name, "from": vendor.name}
            if base := _base(vendor, str(row.get("base_url") or "")):
                table["base_url"] = base
            if vendor.scope and not row.get("base_url"):
                table["scope"] = vendor.scope
            if key:
                self.plan.secrets[name] = key
            self.plan.providers.append(table)
            mapped = self._mapping(row, path)
            for model in models:
                self._offer(model, name, mapped.get(model, model), path)
            self.plan.say(
                "taken", path + (f".key[{number}]" if len(keys) > 1 else ""), f"provider {name}, {len(models)} offers"
            )
        for column in ("priority", "weight"):
            if _whole(row.get(column)):
                self.plan.say("not carried", f"{path}.{column}", str(row[column]), "the merit order goes by price")
        for column, why in WHY_NOT.items():
            if str(row.get(column) or "").strip() not in ("", "{}", "null"):
                self.plan.say("not carried", f"{path}.{column}", "", why)
        groups = [one.strip() for one in str(row.get("group") or "").split(",") if one.strip() not in ("", "default")]
        if groups:
            self.plan.say("not carried", f"{path}.group", ",".join(groups), "which group may use it: declare a policy")

    def _offer(self, model: str, provider: str, upstream: str, path: str) -> None:
        offer: Table = {"model": model, "provider": provider, "name": unique(f"{model}@{provider}", self._offers),
                        "upstream_model": upstream}  # fmt: skip
        if "embedding" in model.lower():
            offer["endpoints"] = ["embeddings"]
        if model in self._price:
            if any(word in model.lower() for word in ("dall-e", "image", "imagen")):
                offer["endpoints"] = ["images"]
                offer["price"] = {"currency": "USD", "rate": {"images": _plain(self._price[model])}}
            else:
                self.plan.say("not carried", f"options.ModelPrice.{model}", _plain(self._price[model]),
                              "a price of a whole call is no meter here; the catalogue's price is taken")  # fmt: skip
        elif model in self._ratio and (model in self._completion or "endpoints" in offer):
            per_input = self._ratio[model] * RATIO_USD
            rate = {"input": _plain(per_input)}
            if model in self._completion:
                rate["output"] = _plain(per_input * self._completion[model])
            if model in self._cache:
                rate["cache_read"] = _plain(per_input * self._cache[model])
            offer["price"] = {"currency": "USD", "rate": rate}
        else:
            lacks = "CompletionRatio" if model in self._ratio else "ModelRatio"
            self.plan.say(
                "changed", f"{path}.models.{model}", "the catalogue's price", f"options.{lacks} does not name it"
            )
        self.plan.offers.append(offer)

    def _user(self, row: dict[str, Any], path: str, taken: set[str]) -> None:
        number, label = _whole(row.get("id")), str(row.get("username") or f"user-{row.get('id')}")
        if row.get("status", ON) != ON or row.get("deleted_at"):
            self.plan.say("not carried", path, label, "it is switched off")
            return
        account, group = unique(name_of(label, "user"), taken), str(row.get("group") or "default")
        table: Table = {"name": account, "tariff": _tariff(group if group in self._groups else "default"),
                        "funding": "prepaid"}  # fmt: skip
        self._accounts[number] = account
        self.plan.accounts.append(table)
        amount = self._money(row.get("quota"))
        self.plan.say("taken", path, f"account {account}, {_plain(amount)} USD" if amount > 0 else f"account {account}")
        if amount > 0:
            self.plan.openings.append(Opening(source=f"newapi:user:{number}", account=account, amount=_plain(amount),
                                              currency="USD"))  # fmt: skip
        elif amount < 0:
            self.plan.say("not carried", f"{path}.quota", _plain(amount), "a debt: settle it there")
        for column in ("password", "email", "access_token", "role"):
            if row.get(column) not in (None, "", 1):
                why = "people sign in here by a link: baseload people add" if column != "role" else "roles are people's"
                self.plan.say("not carried", f"{path}.{column}", "", why)

    def _token(self, row: dict[str, Any], path: str) -> None:
        account = self._accounts.get(_whole(row.get("user_id")))
        label = str(row.get("name") or "")
        if account is None or row.get("status") != ON or row.get("deleted_at"):
            self.plan.say("not carried", path, label, "its user is not" if account is None else "it is switched off")
            return
        text = str(row.get("key") or "").strip()
        expires, limited = _whole(row.get("expired_time")), not row.get("unlimited_quota")
        models = [one.strip() for one in str(row.get("model_limits") or "").split(",") if one.strip()]
        restricted = bool(row.get("model_limits_enabled")) and bool(models)
        budget = self._money(row.get("remain_quota")) if limited else Decimal(0)
        if limited and budget <= 0:
            self.plan.say("not carried", path, label, "its quota is used up")
            return
        if str(row.get("allow_ips") or "").strip():
            self.plan.say(
                "not carried", f"{path}.allow_ips", "", "keys know no addresses: put it at the proxy in front"
            )
        if not text:
            self.plan.say("not carried", path, label, "keys are secrets: --with-secrets")
            return
        self.plan.keys.append(KeyWish(
            source=f"newapi:token:{row.get('id')}", account=account, name=label[:200],
            text=text if text.startswith("sk-") else f"sk-{text}", models=models if restricted else [],
            expires_ns=expires * 10**9 if expires > 0 else 0, budget=_plain(budget) if limited else "",
        ))  # fmt: skip
        self.plan.say("taken", path, f"key of {account}" + (f", at most {_plain(budget)} USD" if limited else ""))

    def _mapping(self, row: dict[str, Any], path: str) -> dict[str, str]:
        text = str(row.get("model_mapping") or "").strip()
        if text in ("", "{}", "null"):
            return {}
        try:
            found = json.loads(text)
            return {str(name): str(to) for name, to in found.items()}
        except (ValueError, AttributeError):
            self.plan.say("not carried", f"{path}.model_mapping", text[:80], "no JSON object")
            return {}

    def _table(self, option: str) -> dict[str, Decimal]:
        text = self._options.get(option, "")
        if not text:
            return {}
        try:
            raw = json.loads(text, parse_float=Decimal, parse_int=Decimal)
            found = {str(name): self._number(value) for name, value in raw.items()}
        except (ValueError, AttributeError):
            self.plan.say("not carried", f"options.{option}", "", "no JSON object")
            return {}
        return {name: value for name, value in found.items() if value is not None and value >= 0}

    @staticmethod
    def _number(value: Any) -> Decimal | None:
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            return None
        return number if number.is_finite() else None

    def _money(self, quota: Any) -> Decimal:
        """US dollars, to the nano-unit below."""
        return (Decimal(_whole(quota)) / self._quota).quantize(Decimal("0.000000001"), "ROUND_DOWN")


def _keys(row: dict[str, Any]) -> list[str]:
    """One a line, or a JSON array (channel_info.is_multi_key)."""
    text = str(row.get("key") or "").strip()
    if text.startswith("["):
        try:
            return [one if isinstance(one, str) else json.dumps(one) for one in json.loads(text)]
        except ValueError:
            pass
    if text.startswith("{"):  # a service account, over several lines
        return [text]
    return [line.strip() for line in text.splitlines() if line.strip()]


def _base(vendor: Vendor, given: str) -> str:
    """Its base URL has no version prefix; ours has."""
    base = given.strip().rstrip("/")
    if not base:
        return vendor.base_url
    if vendor.name == "azure_deployments":
        return base.removesuffix("/openai") + "/openai"
    if (
        vendor.name in ("compatible", "openai", "deepseek", "moonshot", "siliconflow", "openrouter")
        and "/v" not in base
    ):
        return f"{base}/v1"
    return base


def _tariff(group: str) -> str:
    return "default" if group == "default" else name_of(f"newapi-{group}", "newapi")


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _whole(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0
