"""LangChain's PyPI client for OpenAI's API."""

from typing import Literal

import openai
import pytest
from conftest import CAPITAL, TOO_LONG, Gateway
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class Answer(BaseModel):
    """What colour it is."""

    colour: Literal["red", "green"]
    certain: bool


@tool
def set_light(on: bool) -> str:
    """Switches the light on or off."""
    return f"The light is {'on' if on else 'off'}."


def chat(gateway: Gateway, **more: object) -> ChatOpenAI:
    settings = {"model": gateway.model, "api_key": gateway.key, "temperature": 0, "max_tokens": 32, "max_retries": 0, **more}
    return ChatOpenAI(base_url=f"{gateway.url}/v1", **settings)


def test_invoke_and_stream(gateway: Gateway) -> None:
    whole = chat(gateway).invoke(CAPITAL)
    assert "Paris" in whole.text and whole.usage_metadata["output_tokens"] > 0
    assert "".join(chunk.text for chunk in chat(gateway).stream(CAPITAL)) == whole.text


def test_structured_output(gateway: Gateway) -> None:
    answer = chat(gateway, max_tokens=120).with_structured_output(Answer, method="json_schema").invoke(CAPITAL)
    assert isinstance(answer, Answer)


def test_structured_output_by_a_call(gateway: Gateway) -> None:
    answer = chat(gateway, max_tokens=120).with_structured_output(Answer, method="function_calling").invoke(CAPITAL)
    assert isinstance(answer, Answer)


def test_tools(gateway: Gateway) -> None:
    call = {"id": "call_1", "name": "set_light", "args": {"on": True}}
    turns = [
        HumanMessage("Switch the light on."),
        AIMessage("", tool_calls=[call]),
        ToolMessage("The light is on.", tool_call_id="call_1"),
    ]
    assert chat(gateway).bind_tools([set_light]).invoke(turns).text


def test_an_image(gateway: Gateway) -> None:
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{gateway.red_square}"}},
        {"type": "text", "text": "What color is the image?"},
    ]
    assert "red" in chat(gateway).invoke([HumanMessage(content)]).text.lower()


def test_responses(gateway: Gateway) -> None:
    responses = chat(gateway, use_responses_api=True)
    whole = responses.invoke(CAPITAL)
    assert "Paris" in whole.text
    assert "".join(chunk.text for chunk in responses.stream(CAPITAL)) == whole.text


def test_embeddings(gateway: Gateway) -> None:
    settings = {"model": gateway.embedding_model, "api_key": gateway.key, "max_retries": 0}
    # Its other way sends tokens of OpenAI's own tokenizer.
    made = OpenAIEmbeddings(base_url=f"{gateway.url}/v1", check_embedding_ctx_length=False, **settings).embed_documents(["a cat", "a kitten"])
    assert len(made) == 2 and all(len(vector) > 100 for vector in made)


@pytest.mark.parametrize(
    ("more", "prompt", "kind", "code"),
    [
        ({"model": "nope"}, CAPITAL, openai.NotFoundError, "model_not_found"),
        ({}, TOO_LONG, openai.BadRequestError, "context_length_exceeded"),
        ({"api_key": "wrong"}, CAPITAL, openai.AuthenticationError, "invalid_api_key"),
    ],
)
def test_mistakes(gateway: Gateway, more: dict, prompt: str, kind: type, code: str) -> None:
    with pytest.raises(kind) as caught:
        chat(gateway, **more).invoke(prompt)
    assert caught.value.code == code
