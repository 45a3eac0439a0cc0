"""LiteLLM's config.yaml -> a plan. Scalars stay the text they were written as: a price is never a float. Pure.

In:     the text. Out: a `Plan`; Refusal `import_unreadable` where it is no such file.
`os.environ/NAME` becomes `env:NAME`. Its own database (virtual keys, teams, spend) is not in this file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

from baseload.control.imports.plan import KeyWish, Plan, Table, name_of, unique
from baseload.control.imports.vendors import BEGINNINGS, LITELLM, Vendor
from baseload.errors import Refusal

TEXT_MAX = 2 * 2**20  # bytes
NODES_MAX = 200_000  # an alias may stand for a thousand others
SOURCE = "litellm"
ENVIRONMENT = "os.environ/"
PRICES = {  # of one token -> our meter, of a million
    "input_cost_per_token": "input", "output_cost_per_token": "output", "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m"
}  # fmt: skip
DOORS = {"chat": "chat", "completion": "completions", "embedding": "embeddings", "image_generation": "images",
         "audio_speech": "speech", "audio_transcription": "transcriptions", "rerank": "rerank",
         "responses": "responses"}  # fmt: skip
KNOWN_PARAMS = {"model", "api_base", "base_url", "api_key", "rpm", "tpm", "region_name", "max_parallel_requests",
                "api_version", *PRICES}  # fmt: skip
WHY_NOT = {
    "weight": "the merit order goes by price, not by weights", "order": "the merit order goes by price",
    "timeout": "set first_byte_timeout_s of the provider", "stream_timeout": "set idle_timeout_s of the provider",
    "max_retries": "failures are classified; each class has its own rule", "tags": "use accounts and policies",
    "aws_access_key_id": "AWS credentials are read from the environment or a file: docs/configuration.md",
    "aws_secret_access_key": "AWS credentials are read from the environment or a file: docs/configuration.md",
    "vertex_project": "put project and location into base_url", "vertex_location": "put them into base_url",
    "vertex_credentials": "store it: baseload providers key NAME",
}  # fmt: skip
WHY_NO_SECTION = {
    "general_settings": "how that proxy runs", "litellm_settings": "how that library behaves",
    "router_settings": "dispatch has rules of its own", "environment_variables": "set them where baseload runs",
    "guardrails": "not a part of Baseload", "mcp_servers": "not a part of Baseload",
    "files_settings": "not a part of Baseload", "finetune_settings": "not a part of Baseload",
}  # fmt: skip


class _Loader(yaml.SafeLoader):
    """Scalars as text; a name twice in one mapping is refused."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    own = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
    if twice := {name for name in own if own.count(name) > 1}:
        raise yaml.MarkedYAMLError(None, None, f"{min(twice)!r} stands twice in one mapping", node.start_mark)
    loader.flatten_mapping(node)  # `<<` first, so that a mapping's own words win
    return {
        str(loader.construct_object(name, deep=True)): loader.construct_object(value, deep=True)
        for name, value in node.value
    }


_Loader.yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile("<<"))]}
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read(text: str) -> Plan:
    """Raises Refusal."""
    if len(text) > TEXT_MAX:
        raise _unreadable(f"it is larger than {TEXT_MAX >> 20} MB")
    try:
        raw = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _unreadable(str(error).replace("\n", " ")[:300]) from error
    if not isinstance(raw, dict) or not isinstance(raw.get("model_list", []), list):
        raise _unreadable("it has no model_list")
    _count(raw)
    return _Reader().plan_of(raw)


def _unreadable(why: str) -> Refusal:
    return Refusal(f"This is no config.yaml of LiteLLM: {why}.", "Give the file its proxy starts with.",
                   code="import_unreadable")  # fmt: skip


def _count(raw: Any) -> None:
    left, waiting = NODES_MAX, [raw]
    while waiting:
        node = waiting.pop()
        left -= 1
        if left < 0:
            raise _unreadable("its aliases make it too large")
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


class _Reader:
    def __init__(self) -> None:
        self.plan = Plan(SOURCE)
        self._providers: dict[tuple[str, ...], str] = {}
        self._names: set[str] = set()
        self._offers: set[str] = set()
        self._models: set[str] = set()

    def plan_of(self, raw: Table) -> Plan:
        for number, entry in enumerate(raw.get("model_list") or []):
            self._model(entry, f"model_list[{number}]")
        self._router(raw)
        master = _of(raw, "general_settings").get("master_key")
        if isinstance(master, str) and master and not master.startswith(ENVIRONMENT):
            self.plan.keys.append(KeyWish(source="litellm:master_key", account="default", name="litellm master key",
                                          text=master))  # fmt: skip
            self.plan.say("taken", "general_settings.master_key", "a key of account default")
        for section, value in raw.items():
            if section != "model_list":
                self._rest(section, value)
        self.plan.say("not carried", "(its database)", "", "virtual keys, teams and spend are not in this file")
        return self.plan

    def _model(self, entry: Any, path: str) -> None:
        if not isinstance(entry, dict) or not isinstance(entry.get("litellm_params"), dict):
            self.plan.say("not carried", path, "", "it is no model")
            return
        params, info = entry["litellm_params"], _of(entry, "model_info")
        model, full = str(entry.get("model_name", "")), str(params.get("model", ""))
        if "*" in model or "*" in full:
            self.plan.say("not carried", path, model, "models are named one by one: baseload providers add")
            return
        vendor, upstream = _vendor(full, params)
        if vendor is None:
            self.plan.say("not carried", path, full, "no vendor of the catalogue; with an api_base it would be one")
            return
        door = DOORS.get(str(info.get("mode", "chat")))
        if door is None:
            self.plan.say("not carried", f"{path}.model_info.mode", str(info.get("mode")), "no such door")
            return
        provider = self._provider(vendor, params, path)
        name = unique(f"{model}@{provider}", self._offers)
        offer: Table = {"model": model, "provider": provider, "name": name, "upstream_model": upstream}
        if door != "chat":
            offer["endpoints"] = [door]
        if price := self._price({**info, **params}, path):
            offer["price"] = price
        limits = {ours: number for theirs, ours in (("rpm", "requests_per_minute"), ("tpm", "tokens_per_minute"),
                                                   ("max_parallel_requests", "concurrent"))
                  if (number := _whole(params.get(theirs, entry.get(theirs))))}  # fmt: skip
        if limits:
            offer["limits"] = limits
        if params.get("region_name"):
            offer["region"] = str(params["region_name"])
        if _whole(info.get("max_input_tokens")):
            offer["context_max"] = _whole(info["max_input_tokens"])
        if str(info.get("supports_vision", "")).lower() == "true":
            self.plan.say("changed", f"{path}.model_info.supports_vision", "",
                          "what no offer says is presumed; list all capabilities to say it")  # fmt: skip
        self._models.add(model)
        self.plan.offers.append(offer)
        self.plan.say("taken", path, name)
        for word in params:
            if word not in KNOWN_PARAMS:
                self.plan.say("not carried", f"{path}.litellm_params.{word}", "", WHY_NOT.get(word, "unknown here"))

    def _provider(self, vendor: Vendor, params: Table, path: str) -> str:
        """One provider for each vendor, address and credential."""
        base = _plain(params.get("api_base") or params.get("base_url"))
        if base.startswith("env:"):
            self.plan.say(
                "not carried", f"{path}.litellm_params.api_base", base, "an address stands in the file: set base_url"
            )
            base = ""
        base = base or vendor.base_url
        if vendor.name == "azure_deployments" and base:
            base = base.rstrip("/").removesuffix("/openai") + "/openai"
            if params.get("api_version"):
                self.plan.say(
                    "changed", f"{path}.litellm_params.api_version", "2024-10-21", "the version of the catalogue"
                )
        elif (
            vendor.name in ("compatible", "vllm", "openai")
            and base
            and not base.rstrip("/").rpartition("/")[2].startswith("v")
        ):
            base = base.rstrip("/") + ("" if "/openai" in base or vendor.base_url == base else "/v1")
        key = _plain(params.get("api_key"))
        identity = (vendor.name, base, key)
        if identity not in self._providers:
            name = unique(name_of(vendor.name if vendor.name != "compatible" else _host(base), "provider"), self._names)
            table: Table = {"name": name, "from": vendor.name}
            if base:
                table["base_url"] = base.rstrip("/")
            if key.startswith("env:"):
                table["credential"] = key
            elif key:
                self.plan.secrets[name] = key
            self.plan.providers.append(table)
            self._providers[identity] = name
        return self._providers[identity]

    def _price(self, found: Table, path: str) -> Table | None:
        rate = {}
        for theirs, ours in PRICES.items():
            if theirs not in found:
                continue
            try:
                rate[ours] = f"{Decimal(str(found[theirs])) * 1_000_000:f}"
            except InvalidOperation:
                self.plan.say("not carried", f"{path}.{theirs}", str(found[theirs]), "no number")
        if not rate:
            return None
        trimmed = {name: text.rstrip("0").rstrip(".") if "." in text else text for name, text in rate.items()}
        return {"currency": "USD", "rate": trimmed}

    def _router(self, raw: Table) -> None:
        """Aliases become groups, fallbacks policies of models."""
        for section in ("router_settings", "litellm_settings"):
            settings = _of(raw, section)
            for alias, target in _of(settings, "model_group_alias").items():
                to = str(target.get("model", "")) if isinstance(target, dict) else str(target)
                if to in self._models:
                    self.plan.groups.append({"name": alias, "models": [to]})
                    self.plan.say("taken", f"{section}.model_group_alias.{alias}", f"group of {to}")
                else:
                    self.plan.say("not carried", f"{section}.model_group_alias.{alias}", "", f"there is no model {to}")
            for model, others in _pairs(settings.get("fallbacks")):
                kept = [one for one in others if one in self._models]
                path = f"{section}.fallbacks.{model}"
                if model not in self._models or not kept or model in self.plan.model_policies:
                    self.plan.say(
                        "not carried", path, "", "its models are not here" if model != "*" else "name the models"
                    )
                    continue
                policy = name_of(f"fallbacks-of-{model}")
                self.plan.policies.append({"name": policy, "fallbacks": kept})
                self.plan.model_policies[model] = policy
                self.plan.say(
                    "taken" if len(kept) == len(others) else "changed", path, f"policy {policy}: {', '.join(kept)}"
                )
            for word in ("context_window_fallbacks", "content_policy_fallbacks"):
                for model, _ in _pairs(settings.get(word)):
                    self.plan.say("not carried", f"{section}.{word}.{model}", "",
                                  "an offer that is too small is passed over before the call")  # fmt: skip

    def _rest(self, section: str, value: Any) -> None:
        done = {"master_key", "model_group_alias", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks"}
        why = WHY_NO_SECTION.get(section, "unknown here")
        if isinstance(value, dict):
            for word in value:
                if word not in done:
                    self.plan.say("not carried", f"{section}.{word}", "", why)
        else:
            self.plan.say("not carried", section, "", why)


def _vendor(full: str, params: Table) -> tuple[Vendor | None, str]:
    prefix, slash, rest = full.partition("/")
    explicit = str(params.get("custom_llm_provider", ""))
    if slash and prefix in LITELLM:
        vendor = LITELLM[prefix]
        if prefix == "openai" and (params.get("api_base") or params.get("base_url")):
            vendor = Vendor("compatible")
        return vendor, rest.removeprefix("converse/").removeprefix("invoke/")
    if explicit in LITELLM:
        return LITELLM[explicit], full
    if params.get("api_base") or params.get("base_url"):
        return Vendor("compatible"), full
    return next(((LITELLM[name], full) for begin, name in BEGINNINGS if full.startswith(begin)), (None, full))


def _of(table: Table, name: str) -> Table:
    value = table.get(name)
    return value if isinstance(value, dict) else {}


def _pairs(value: Any) -> Iterator[tuple[str, list[str]]]:
    """[{"a": ["b", "c"]}, ...]."""
    for entry in value if isinstance(value, list) else []:
        for model, others in entry.items() if isinstance(entry, dict) else ():
            yield str(model), [str(one) for one in others] if isinstance(others, list) else [str(others)]


def _plain(value: Any) -> str:
    text = str(value or "").strip()
    return f"env:{text.removeprefix(ENVIRONMENT)}" if text.startswith(ENVIRONMENT) else text


def _whole(value: Any) -> int:
    text = str(value or "").replace("_", "")
    return int(text) if text.isdecimal() and len(text) < 13 else 0


def _host(base: str) -> str:
    return base.partition("://")[2].partition("/")[0].partition(":")[0].removeprefix("api.") or "compatible"
