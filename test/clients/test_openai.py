"""OpenAI's PyPI client."""

import json
from typing import Literal

import openai
import pytest
from conftest import CAPITAL, TOO_LONG, Gateway
from openai import OpenAI
from pydantic import BaseModel


class Answer(BaseModel):
    colour: Literal["red", "green"]
    certain: bool


LIGHT = {
    "type": "function",
    "function": {
        "name": "set_light",
        "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
    },
}


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)


@pytest.fixture
def question(gateway: Gateway) -> dict:
    return {"model": gateway.model, "messages": [{"role": "user", "content": CAPITAL}], "temperature": 0, "max_tokens": 32}


def test_chat_whole_and_streamed(client: OpenAI, question: dict) -> None:
    whole = client.chat.completions.create(**question)
    assert "Paris" in whole.choices[0].message.content
    assert whole.usage.completion_tokens > 0
    chunks = list(client.chat.completions.create(**question, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_its_stream_helper(client: OpenAI, question: dict) -> None:
    with client.chat.completions.stream(**question) as stream:
        for _ in stream:
            pass
        assert "Paris" in stream.get_final_completion().choices[0].message.content


def test_completions(client: OpenAI, gateway: Gateway) -> None:
    completion = client.completions.create(model=gateway.model, prompt="Once upon a time", max_tokens=4, temperature=0)
    assert completion.id.startswith("cmpl-") and completion.choices[0].finish_reason == "length"


def test_structured_output_by_pydantic(client: OpenAI, question: dict, gateway: Gateway) -> None:
    chat = client.chat.completions.parse(**{**question, "max_tokens": 120}, response_format=Answer)
    assert isinstance(chat.choices[0].message.parsed, Answer)
    response = client.responses.parse(model=gateway.model, input=CAPITAL, temperature=0, max_output_tokens=120, text_format=Answer)
    assert isinstance(response.output_parsed, Answer)


def test_a_call_that_is_asked_for(client: OpenAI, question: dict) -> None:
    asked = {**question, "max_tokens": 120, "tools": [LIGHT], "tool_choice": {"type": "function", "function": {"name": "set_light"}}}
    whole = client.chat.completions.create(**asked)
    with client.chat.completions.stream(**asked) as stream:
        streamed = stream.get_final_completion()
    for completion in (whole, streamed):
        [call] = completion.choices[0].message.tool_calls
        assert call.function.name == "set_light" and isinstance(json.loads(call.function.arguments)["on"], bool)


def test_tools(client: OpenAI, question: dict) -> None:
    assert client.chat.completions.create(**question, tools=[LIGHT]).choices[0].message.role == "assistant"
    call = {"id": "call_1", "type": "function", "function": {"name": "set_light", "arguments": '{"on": true}'}}
    turns = [
        {"role": "user", "content": "Switch the light on."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "The light is on."},
    ]
    assert client.chat.completions.create(**{**question, "messages": turns}, tools=[LIGHT]).choices[0].message.content


def test_an_image(client: OpenAI, question: dict, gateway: Gateway) -> None:
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{gateway.red_square}"}},
        {"type": "text", "text": "What color is the image?"},
    ]
    chat = client.chat.completions.create(**{**question, "messages": [{"role": "user", "content": content}]})
    assert "red" in chat.choices[0].message.content.lower()


def test_responses_whole_and_streamed(client: OpenAI, gateway: Gateway) -> None:
    asked = {"model": gateway.model, "input": CAPITAL, "temperature": 0, "max_output_tokens": 32}
    whole = client.responses.create(**asked)
    assert "Paris" in whole.output_text
    with client.responses.stream(**asked) as stream:
        numbers = [event.sequence_number for event in stream]
        assert stream.get_final_response().output_text == whole.output_text
    assert numbers == sorted(set(numbers))


def test_embeddings(client: OpenAI, gateway: Gateway) -> None:
    made = client.embeddings.create(model=gateway.embedding_model, input=["a cat", "a kitten"])
    assert len(made.data) == 2 and all(len(one.embedding) > 100 for one in made.data)


def test_models(client: OpenAI, gateway: Gateway) -> None:
    assert [card.id for card in client.models.list()] == [gateway.model, gateway.embedding_model]
    assert client.models.retrieve(gateway.model).id == gateway.model


@pytest.mark.parametrize(
    ("more", "kind", "code"),
    [
        ({"model": "nope"}, openai.NotFoundError, "model_not_found"),
        ({"messages": "hi"}, openai.BadRequestError, "request_invalid"),
        ({"messages": [{"role": "user", "content": TOO_LONG}]}, openai.BadRequestError, "context_length_exceeded"),
        ({"messages": [{"content": "no role"}]}, openai.BadRequestError, None),
    ],
)
def test_mistakes(client: OpenAI, question: dict, more: dict, kind: type, code: str | None) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**{**question, **more})
    assert isinstance(caught.value.code, str) and (code is None or caught.value.code == code)


def test_keys(gateway: Gateway, question: dict) -> None:
    with pytest.raises(openai.AuthenticationError):
        OpenAI(base_url=f"{gateway.url}/v1", api_key="wrong", max_retries=0).models.list()
    once = OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.once_key, max_retries=0)
    raw = once.chat.completions.with_raw_response.create(**{**question, "max_tokens": 1})
    assert raw.headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(openai.RateLimitError) as caught:
        once.chat.completions.create(**question)
    assert int(caught.value.response.headers["retry-after"]) >= 1


def test_leaving_a_stream(client: OpenAI, question: dict) -> None:
    stream = client.chat.completions.create(**{**question, "max_tokens": 2000}, stream=True, extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2).chat.completions.create(**{**question, "max_tokens": 2000}, extra_body={"ignore_eos": True})
