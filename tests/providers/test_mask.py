"""Lesson 69: what a provider says about our account never reaches a client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.providers.mask import TEXT_MAX, mask

SECRETS = [
    ("Incorrect API key provided: sk-proj-Ab12cd34EF56gh78****wxyz.", "Ab12"),
    ("Incorrect API key provided: sk-ab12*******************wxyz", "wxyz"),
    ("Authorization: Bearer abcDEF123456.ghi-789", "abcDEF"),
    ('{"api_key": "q8w7e6r5t4"}', "q8w7"),
    ("key 0123456789abcdef0123456789abcdef.AbCdEfGh12345678 is disabled", "AbCd"),
    ("invalid token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF_-1", "eyJ"),
    ("bce-v3/ALTAK-abc/0123456789 has expired", "0123"),
    ("AccessKey LTAI5tAbCdEf123456 not found", "LTAI"),
    ("in organization org-AbCdEfGhIjKlMnOp on tokens per min", "AbCd"),
    ("project proj_Ab12Cd34Ef56 has no access", "Ab12"),
    ("endpoint ep-20250101123456-abcde is closed", "20250101"),
    ("contact alice.smith+ops@example.co.uk", "alice"),
    ("The account 2100123456 is overdue", "2100123456"),
    ("用户 13800138000 余额不足", "13800138000"),
    ("用户剩余额度: ¥0.051, 需要预扣费额度: ¥0.12", "0.051"),
    ("Insufficient balance: -12.34", "12.34"),
    ("Your balance is 1,234.56 USD", "234"),
    ("当前余额 -3.20 元", "3.20"),
    ("You have 17 credits; credits left: 17.5", "17.5"),
    ("costs $0.75 more than $-2.50", "0.75"),
    ("upstream 10.1.2.3:8443 refused", "10.1.2.3"),
    ("see https://bob:hunter2x@internal.example/x?sig=abc", "hunter2x"),
    ("see https://internal.example/x?sig=topsecret", "topsecret"),
    ("User: arn:aws:iam::123456789012:user/alice is not authorized to perform: bedrock:InvokeModel", "alice"),
    ("on resource: arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile/x", "123456789012"),
    ("AWS account 123456789012 has no access", "123456789012"),
    ("The security token AKIAIOSFODNN7EXAMPLE is invalid", "IOSFODNN7"),
    ("secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY was given", "K7MDENG"),
    ("token " + "IQoJb3JpZ2luX2VjEJr1" * 8 + "== expired", "b3JpZ2lu"),
    ("endpoint bedrock-runtime.us-east-1.amazonaws.com failed", "us-east-1"),
    ("Vertex AI API has not been used in project 123456789012 before", "123456789012"),
    ("Permission denied on resource projects/acme-prod-1/locations/us", "acme-prod"),
    ("Permission 'x' denied on resource '//aiplatform.googleapis.com/projects/acme-prod-1/y'", "acme-prod"),
    ("caller svc@acme-prod-1.iam.gserviceaccount.com lacks permission", "acme-prod"),
    ("host us-central1-aiplatform.googleapis.com answered", "us-central1"),
    ("key AIzaSyA1234567890abcdefghijklmnopqrstu is invalid", "SyA123"),
    ("token ya29.a0AfB_by-C1.dE2 has expired", "a0AfB"),
    ("API key AQ.Ab8RN6L-abcdefghijklmnop not valid", "Ab8RN6L"),
    ("The resource https://acme-ai.openai.azure.com/openai/v1 is gone", "acme-ai"),
    ("resource 'acme-ai-east' was not found", "acme-ai-east"),
    ("see acme-ai.cognitiveservices.azure.com", "acme-ai"),
    ("/subscriptions/0a1b2c3d-1111-2222-3333-444455556666/resourceGroups/acme-rg/providers", "acme-rg"),
    ("workspace wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ is over its limit", "JwQvzr"),
    ("organization 'Acme Holding' has been disabled", "Acme Holding"),
    ('Organization: "Acme Holding" is on hold', "Acme Holding"),
    ("key sk-ant-api03-AbCd1234-efGh is invalid", "AbCd1234"),
    ("proxied to gpu-7.cluster.internal:8000", "gpu-7"),
    ("connect to localhost:8000 failed", "8000"),
    ("https://llm-a1b2c3.cn-beijing.maas.aliyuncs.com/api", "a1b2c3"),
    ("request 0217349812345678901234567890abcdef failed", "0217349812345678901234567890"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS, ids=[text[:24] for text, _ in SECRETS])
def test_lesson_69_secrets_and_balances_are_masked(text: str, secret: str):
    assert secret in text
    assert secret not in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 131072 tokens. However, you requested 150000 tokens.",
        "Range of input length should be [1, 1048576]",
        "max_tokens: 4096 is more than the number of tokens allowed 2048",
        "temperature must be at most 2.0, got 3.5",
        "Model Qwen/Qwen3-Coder-480B-A35B-Instruct does not support n = 2",
        "gpt-4o-mini-2024-07-18 does not support 'logit_bias'",
        "messages[3].user_message: token limit exceeded, see https://example.com/docs/errors",
        "输入长度超过 32768",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "max_tokens: 100000 > 64000, the maximum allowed number of output tokens for claude-sonnet-4-5-20250929",
        "`tool_use` ids were found without `tool_result` blocks: toolu_01A09q90qw90lq917835lq9.",
        "No tool output found for function call call_x8Yk2mDq0123456789abcdef.",
        "The model amazon.nova-pro-v1:0 does not support images, us.anthropic.claude-opus-4-1-v1:0 does.",
        "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
        "Invalid value at 'generation_config.response_schema' (type.googleapis.com/google.ai.v1.Schema)",
        "See https://docs.aws.amazon.com/bedrock/latest/userguide/models.html for model ids",
        "input length and `max_tokens` exceed context limit: 190000 + 21333 > 200000, decrease input length",
        "Unsupported value: 'project' is no member; use 'messages'",
    ],
)
def test_what_a_client_must_change_stays_readable(text: str):
    assert mask(text) == text


@given(st.text(max_size=3000))
def test_any_text_gives_one_bounded_line(text: str):
    once = mask(text)
    assert "\n" not in once
    assert len(once) <= TEXT_MAX


def test_a_secret_in_the_guise_of_the_clients_own_id_is_masked_by_its_surroundings():
    assert "abc123456" not in mask("api_key=call_abc123456")
    assert mask("\ue000 call_abc123456 \ue000") == "call_abc123456"


def test_line_breaks_and_hidden_characters_go():
    assert mask("a\r\nb\x00c\u202ed") == "a b c d"
