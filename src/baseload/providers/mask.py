"""Takes out of a provider's message what is nobody's business: keys, accounts, people, balances, addresses.

Used before a provider's words reach a client or a log line. Rather one word too many than one key too few; token counts
("131072 tokens") stay, because they are what a client must change.
"""

from __future__ import annotations

import re

TEXT_MAX = 1000

_MONEY_WORDS = (
    r"\b(?:balance|credits?|quota|prepaid|arrears|afford|spent|spend|owed?|overdue|funds)\b"
    r"|余额|额度|欠费|欠款|账户|配额|剩余"
)
_CODES = "USD|CNY|RMB|EUR|GBP|JPY|HKD"
_UNITS = rf"(?:{_CODES}|dollars?|cents?|yuan)\b|元|美元|人民币"
_NUMBER = r"(?<![A-Za-z0-9.])[-+]?[0-9][0-9,]*(?:\.[0-9]+)?"
_WITH_DIGIT = r"(?=[A-Za-z0-9_/+.~=*-]*[0-9*])"
_PREFIXES = "AKIA|ASIA|LTAI|AKLT|AKID|ALTAK|AIza|ya29"
_ACCOUNTS = "user|acct|account|project|team|workspace|wrkspc|ws|tenant|ep|uid|cus|sub|llm"
_OWNERS = r"organi[sz]ation|account|workspace|tenant|subscription|resource(?: group)?|project|team|service account"
_FOLDERS = "projects|organizations|folders|subscriptions|resourceGroups|accounts"  # in Google's and Azure's names
# Hosts that name a customer, a region or a machine. A vendor's documentation stays readable.
_HOSTS = (
    r"openai\.azure\.com|cognitiveservices\.azure\.com|services\.ai\.azure\.com|azure-api\.net|amazonaws\.com(?:\.cn)?"
    r"|api\.aws|maas\.aliyuncs\.com|volces\.com|aiplatform\.googleapis\.com|svc\.cluster\.local|internal|local|lan|corp"
)

# In this order: what is longest and surest first.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (rf"(?i)\b(bearer|basic|token)[ :=]+{_WITH_DIGIT}[A-Za-z0-9._~+/=*-]{{8,}}", r"\1 [key]"),
        (
            r"(?i)\b(api[-_ ]?key|secret|password|authorization)([\"']?\s*[:=]\s*[\"']?)(?!\[key\])[^\s\"',;]+",
            r"\1\2[key]",
        ),
        (r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,2}", "[key]"),  # JWT
        (r"\bbce-v3/\S+", "[key]"),  # Baidu
        (r"\b(?:sk|rk|pk|gsk|xai|nvapi|hf)[-_][A-Za-z0-9_*-]{4,}(?:\.[A-Za-z0-9_*-]{4,})*", "[key]"),
        (r"\bya29\.[A-Za-z0-9_.-]{6,}", "[key]"),  # Google's access tokens
        (r"\bAQ\.[A-Za-z0-9_-]{20,}", "[key]"),  # and its newer API keys
        (rf"\b(?:{_PREFIXES})[A-Za-z0-9_-]{{6,}}", "[key]"),  # cloud access keys
        (r"\barn:aws[a-z-]*:[^\s\"',;)]+", "[arn]"),
        (
            r"(?<![A-Za-z0-9/+_.-])(?=[A-Za-z0-9/+]*[0-9])(?=[A-Za-z0-9/+]*[A-Z])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+_.-])",
            "[key]",
        ),  # AWS secret
        (r"(?<![A-Za-z0-9/+])(?=[A-Za-z0-9/+]*[0-9])[A-Za-z0-9/+]{80,}={0,2}", "[key]"),  # AWS session token
        (r"\b[0-9a-f]{32}\.[A-Za-z0-9]{8,}", "[key]"),  # Zhipu: id.secret
        (r"(https?://)[^\s/@]+@", r"\1"),  # credentials in a URL
        (r"(https?://[^\s?#\"'<>]+)[?#][^\s\"'<>]*", r"\1"),  # and in its query
        (r"[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", "[email]"),
        (rf"(?i)(?:https?://)?\b(?:[a-z0-9_-]+[.-])+(?:{_HOSTS})(?::[0-9]+)?\b(?![-a-z0-9_])", "[host]"),
        (r"(?i)(?:https?://)?\bapi(?:[.-][a-z0-9-]+)+\.[a-z]{2,}(?::[0-9]+)?\b", "[host]"),
        (r"(?i)\blocalhost(?::[0-9]+)?\b", "[host]"),
        (
            r"(?i)\b(projects|organizations|folders|subscriptions|resourceGroups|accounts)/[^\s/\"',;)]+",
            r"\1/[account]",
        ),
        (rf"(?i)\b((?:{_OWNERS})(?: named?| id)?[:= ]+)([\"'`‘“])[^\"'`’”]{{1,80}}[\"'`’”]", r"\1[account]"),
        (r"\b(?:org|proj)[-_][A-Za-z0-9_-]{6,}", "[account]"),
        (rf"\b(?:{_ACCOUNTS})[-_]{_WITH_DIGIT}[A-Za-z0-9_-]{{6,}}", "[account]"),
        (r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", "[id]"),
        (rf"\b{_WITH_DIGIT}[A-Za-z0-9_]{{28,}}\b", "[id]"),  # hashes; model names have hyphens and are shorter
        (r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?::[0-9]+)?\b", "[address]"),
        (rf"[$€£¥￥]\s*[-+]?[0-9][0-9,.]*|{_NUMBER}\s*[$€£¥￥]", "[amount]"),
        (rf"(?i){_NUMBER}\s*(?:{_UNITS})", "[amount]"),
        (rf"(?i)\b(?:{_CODES})\s*{_NUMBER}", "[amount]"),
        (rf"(?i)((?:{_MONEY_WORDS})[^0-9\n.;。；]{{0,40}}?){_NUMBER}", r"\1[amount]"),
        (r"[0-9]{9,}", "[number]"),  # account and phone numbers; no context has a thousand million tokens
    )
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


# Names of things of the client's own conversation stay: it must see which one is wrong.
_CLIENTS = re.compile(r"\b(?:toolu|tooluse|call|msg|resp|fc|rs|req|file)_[A-Za-z0-9]{6,64}\b")
_HELD = "\ue000"  # a private character that stands for one of them meanwhile


def mask(text: str) -> str:
    """The text on one line, without keys, tokens, people, accounts, hosts, balances and long numbers."""
    text = _CONTROL.sub(" ", text[: 4 * TEXT_MAX]).replace(_HELD, " ")
    held = _CLIENTS.findall(text)
    text = _CLIENTS.sub(_HELD, text)
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    if held:
        names = iter(held)
        text = re.sub(_HELD, lambda _: next(names), text)
    text = " ".join(text.split())
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"
