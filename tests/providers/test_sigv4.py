"""The AWS signer against botocore's, and against what Bedrock needs of it."""

from __future__ import annotations

import datetime
from hashlib import sha256
from unittest import mock
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.providers.sigv4 import Credential, read_credential, region_of, segment, sign

AT_S = 1_795_176_000.0
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def reference(
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    body: bytes,
    credential: Credential,
    region: str,
    service: str,
    at_s: float,
) -> dict[str, str]:
    """What botocore adds to the same request."""
    url = f"https://{headers['host']}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    keys = Credentials(credential.access_key, credential.secret_key, credential.token or None)
    now = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=now):
        botocore.auth.SigV4Auth(keys, service, region).add_auth(request)
    names = ("x-amz-date", "x-amz-security-token", "authorization")
    return {name: request.headers[name] for name in names if name in request.headers}


def ours(
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    body: bytes,
    credential: Credential,
    region: str,
    service: str,
    at_s: float,
) -> dict[str, str]:
    digest = sha256(body).hexdigest()
    return dict(sign(method, path, query, headers, digest, credential, region=region, service=service, at_s=at_s))


HEADERS = {"host": "bedrock-runtime.us-east-1.amazonaws.com", "content-type": "application/json"}
KEY = Credential("AKIDEXAMPLE12345678", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


@pytest.mark.parametrize(
    "model", ["amazon.nova-pro-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", ARN, "a b/ü"]
)
@pytest.mark.parametrize("verb", ["converse", "converse-stream"])
@pytest.mark.parametrize("token", ["", "IQoJb3JpZ2luX2VjE+/=="])
def test_model_ids_with_colons_and_arns_are_signed_as_they_are_sent(model: str, verb: str, token: str):
    credential = Credential(KEY.access_key, KEY.secret_key, token)
    path = f"/model/{segment(model)}/{verb}"
    request = ("POST", path, "", HEADERS, b'{"messages":[]}', credential, "us-east-1", "bedrock", AT_S)
    assert ours(*request) == reference(*request)
    assert ("x-amz-security-token" in ours(*request)) == bool(token)


def test_the_path_is_encoded_once_on_the_wire_and_twice_in_what_is_signed():
    once = segment("amazon.nova-pro-v1:0")
    assert once == "amazon.nova-pro-v1%3A0"
    assert "/" not in segment(ARN)
    request = (HEADERS, b"", KEY, "us-east-1", "bedrock", AT_S)
    raw = ours("POST", "/model/amazon.nova-pro-v1:0/converse", "", *request)
    sent = ours("POST", f"/model/{once}/converse", "", *request)
    assert sent != raw  # they are two requests, for AWS too
    assert sent == reference("POST", f"/model/{once}/converse", "", *request)


def test_a_known_signature():
    """AWS's published example "get-vanilla": both signers being wrong together would show."""
    credential = Credential("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    host = {"host": "example.amazonaws.com"}
    found = ours("GET", "/", "", host, b"", credential, "us-east-1", "service", 1_440_938_160.0)
    assert found == {
        "x-amz-date": "20150830T123600Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    }


_word = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_.~", min_size=1, max_size=8)
_text = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)
_paths = st.lists(_text | st.sampled_from([".", "..", "", ARN]), max_size=5).map(
    lambda parts: "/" + "/".join(quote(part, safe="-._~") for part in parts)
)
_queries = st.lists(st.tuples(_word, _text.map(lambda text: quote(text, safe="-._~"))), max_size=4).map(
    lambda pairs: "&".join(f"{key}={value}" for key, value in pairs)
)
_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
_names = st.sampled_from(
    ["content-type", "X-Extra", "accept", "user-agent", "x-amzn-trace-id", "Expect", "traceparent"]
)


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["POST", "GET", "post"]),
    path=_paths,
    query=_queries,
    extra=st.dictionaries(_names, _values, max_size=4),
    body=st.binary(max_size=100),
    key=st.tuples(_word, st.text("abcXYZ019/+=", min_size=1, max_size=40), st.text("abcXYZ019/+=", max_size=60)),
    region=st.sampled_from(["us-east-1", "ap-southeast-3", "eu-central-1"]),
    service=st.sampled_from(["bedrock", "bedrock-mantle"]),
    at_s=st.floats(min_value=1e9, max_value=4e9),
)
def test_any_request_is_signed_as_botocore_signs_it(method, path, query, extra, body, key, region, service, at_s):
    headers = {"host": "bedrock-runtime.us-east-1.amazonaws.com", **extra}
    request = (method, path, query, headers, body, Credential(*key), region, service, float(int(at_s)))
    assert ours(*request) == reference(*request)


def test_a_credential_is_told_from_a_bearer_key():
    assert read_credential("AKIDEXAMPLE12345678:secret/+x") == Credential("AKIDEXAMPLE12345678", "secret/+x")
    assert read_credential("ASIAEXAMPLE12345678:s:tok/en==\n") == Credential("ASIAEXAMPLE12345678", "s", "tok/en==")
    for bearer in (
        "ABSKQmVkcm9ja0FQSUtleS1hYmM=",
        "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3M=",
        "",
        "AKIDEXAMPLE12345678:",
    ):
        assert read_credential(bearer) is None


def test_a_credential_does_not_print_itself():
    assert "wJalr" not in repr(KEY)
    assert "wJalr" not in f"{[KEY]}"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com:443", "us-gov-west-1"),
        ("vpce-0a1b-xyz.bedrock-runtime.ap-southeast-3.vpce.amazonaws.com", "ap-southeast-3"),
        ("bedrock-mantle.eu-central-1.api.aws", "eu-central-1"),
        ("127.0.0.1:8080", ""),
        ("example.com", ""),
    ],
)
def test_the_region_is_in_the_host(host: str, region: str):
    assert region_of(host) == region
