"""Anthropic's PyPI client."""

import anthropic
import pytest
from anthropic import Anthropic
from conftest import CAPITAL, TOO_LONG, Gateway

LIGHT = {"name": "set_light", "input_schema": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}}


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Anthropic:
    return Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0)


@pytest.fixture
def question(gateway: Gateway) -> dict:
    greedy = {"temperature": 0}
    return {"model": gateway.model, "messages": [{"role": "user", "content": CAPITAL}], "max_tokens": 32, "extra_body": greedy}


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_messages_whole_and_streamed(client: Anthropic, question: dict) -> None:
    whole = client.messages.create(**question)
    assert "Paris" in text_of(whole) and whole.stop_reason == "end_turn" and whole.usage.output_tokens > 0
    with client.messages.stream(**question) as stream:
        assert "".join(stream.text_stream) == text_of(whole)
        assert stream.get_final_message().stop_reason == "end_turn"


def test_count_tokens(client: Anthropic, question: dict) -> None:
    counted = client.messages.count_tokens(model=question["model"], messages=question["messages"]).input_tokens
    usage = client.messages.create(**{**question, "max_tokens": 1}).usage
    assert counted == usage.input_tokens + (usage.cache_read_input_tokens or 0)


def test_tools(client: Anthropic, question: dict) -> None:
    turns = [
        {"role": "user", "content": "Switch the light on."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "set_light", "input": {"on": True}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "The light is on."}]},
    ]
    assert text_of(client.messages.create(**{**question, "messages": turns}, tools=[LIGHT]))


def test_an_image(client: Anthropic, question: dict, gateway: Gateway) -> None:
    content = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": gateway.red_square}},
        {"type": "text", "text": "What color is the image?"},
    ]
    assert "red" in text_of(client.messages.create(**{**question, "messages": [{"role": "user", "content": content}]})).lower()


@pytest.mark.parametrize(
    ("more", "kind", "name"),
    [
        ({"model": "nope"}, anthropic.NotFoundError, "not_found_error"),
        ({"messages": "hi"}, anthropic.BadRequestError, "invalid_request_error"),
        ({"messages": [{"role": "user", "content": TOO_LONG}]}, anthropic.BadRequestError, "invalid_request_error"),
    ],
)
def test_mistakes(client: Anthropic, question: dict, more: dict, kind: type, name: str) -> None:
    with pytest.raises(kind) as caught:
        client.messages.create(**{**question, **more})
    assert caught.value.body["type"] == "error" and caught.value.body["error"]["type"] == name


def test_keys(gateway: Gateway, question: dict) -> None:
    with pytest.raises(anthropic.AuthenticationError):
        Anthropic(base_url=gateway.url, api_key="wrong", max_retries=0).messages.create(**question)
    once = Anthropic(base_url=gateway.url, api_key=gateway.once_key, max_retries=0)
    once.messages.create(**{**question, "max_tokens": 1})
    with pytest.raises(anthropic.RateLimitError) as caught:
        once.messages.create(**question)
    assert int(caught.value.response.headers["retry-after"]) >= 1
