"""A Hugging Face model on this machine as an agent: token-exact, in batches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from codeenv.agents.demonstrations import load_demonstrations
from codeenv.agents.lm.fetch import resolve_model
from codeenv.agents.lm.generation import Sampling, TurnSampler
from codeenv.agents.lm.load import chat_format
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.errors import CodeenvError
from codeenv.rollout.agent import Response
from codeenv.rollout.conversation import Conversation
from codeenv.text import one_line

__all__ = ["HuggingFaceAgent"]


class HuggingFaceAgent:
    """Answers with a causal language model that has a chat template, or a policy of the miniature.

    Responses are kept as the tokens that were sampled: a later turn continues from them, and no response is tokenised again.
    The extras of a response hold `tokens`, `logprobs` (of the distribution drawn from) and `pieces` (the tokens as text).

    Args:
        model: folder (such as `final` of a training run), name in `codeenv models`, hub name or .gguf file; or pass a loaded
            `model_object` and `tokenizer`.
        device: `cpu`, `cuda`, ...
        dtype: `auto`, `float32`, `bfloat16`, ...
        temperature, top_p, max_tokens, max_context: see `Sampling`.
        batch_size: most conversations in one forward pass.
        seed: of the sampling; what is drawn also depends on which conversations meet in a batch.
        threads: CPU threads; 0 leaves torch's choice.
        demonstrations: few-shot prompting: a run folder or JSONL file of solved dialogues to put before each problem, see
            `codeenv.agents.demonstrations`.
        shots: numbers of attempts of the demonstrations that are taken from a run folder.
        adopt: also go on with conversations whose responses somebody else wrote; their text is tokenised.
    """

    def __init__(
        self,
        model: str = "",
        device: str = "cpu",
        dtype: str = "auto",
        temperature: float = 0.2,
        top_p: float = 0.95,
        max_tokens: int = 512,
        max_context: int = 4096,
        batch_size: int = 16,
        seed: int = 0,
        threads: int = 0,
        demonstrations: str = "",
        shots: str = "2,3",
        adopt: bool = False,
        model_object: PreTrainedModel | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        if model_object is None or tokenizer is None:
            if not model:
                raise CodeenvError("the hf agent needs a model; give a folder or a hub name as --agent-options model=NAME")
            if not sys.stderr.isatty():  # quiet in a pipe
                logging.disable_progress_bar()
            try:
                path = Path(model)
                place, gguf = (
                    (str(path.parent), {"gguf_file": path.name}) if path.suffix == ".gguf" else (resolve_model(model), {})
                )
                tokenizer = AutoTokenizer.from_pretrained(place, **gguf)
                model_object = AutoModelForCausalLM.from_pretrained(place, dtype=dtype, **gguf)
            except (OSError, ValueError) as error:
                raise CodeenvError(f"cannot load the model {model!r}: {one_line(str(error).partition(chr(10))[0])}") from None
        self._model: PreTrainedModel = model_object.to(device).eval()  # type: ignore[arg-type]
        self._format = chat_format(tokenizer)
        self._sampling = Sampling(temperature, top_p, max_tokens, max_context)
        self._batch_size = batch_size
        self._generator = torch.Generator(device=device).manual_seed(seed)
        self._adopt = adopt
        shown = load_demonstrations(demonstrations, shots, seed) if demonstrations else []
        self._shown = [message["content"] for dialogue in shown for message in dialogue]
        self._kept: dict[tuple[str, ...], list[TokenConversation]] = {}

    def act_batch(self, conversations: Sequence[Conversation]) -> list[Response]:
        """Return one response per conversation."""
        answers: list[Response] = []
        for start in range(0, len(conversations), self._batch_size):
            answers += self._answer(conversations[start : start + self._batch_size])
        return answers

    def end_run(self) -> None:
        """Forget the conversations of the run."""
        self._kept.clear()

    def _answer(self, conversations: Sequence[Conversation]) -> list[Response]:
        batch = [self._tokens_of(conversation) for conversation in conversations]
        sampler = TurnSampler(self._model, batch, self._format.stop_ids, self._sampling, self._generator)
        sampler.respond(range(len(batch)))
        answers = []
        for conversation, tokens in zip(conversations, batch, strict=True):
            ids, span = tokens.response(-1), tokens.spans[-1]
            text = self._format.text(ids)
            self._kept.setdefault(_key([*(message["content"] for message in conversation), text]), []).append(tokens)
            extras = {
                "tokens": ids,
                "logprobs": [round(value, 5) for value in tokens.logprobs[span.start : span.stop]],
                "pieces": [str(self._format.tokenizer.decode([token])) for token in ids],
                "finish_reason": span.finish,
                "prompt_tokens": span.start,
                "completion_tokens": len(ids),
            }
            answers.append(Response(text, extras))
        return answers

    def _tokens_of(self, conversation: Conversation) -> TokenConversation:
        """Return the conversation in tokens: those of the turns before, as they were sampled, and the new message."""
        texts = [message["content"] for message in conversation]
        if len(texts) == 1:
            return self._written([*self._shown, *texts])
        kept = self._kept.get(_key(texts[:-1]))
        if not kept and self._adopt:
            return self._written([*self._shown, *texts])
        if not kept:
            raise CodeenvError(
                "the hf agent was given a conversation that it did not take part in; start it from its first message"
            )
        tokens = kept.pop()
        stopped = tokens.spans[-1].finish == "stop"
        tokens.add_environment(self._format.follow_up(texts[-1], stopped))
        return tokens

    def _written(self, texts: Sequence[str]) -> TokenConversation:
        """Return a dialogue as a prompt, responses included; it ends where the model begins to write."""
        tokens = TokenConversation()
        tokens.add_environment(self._format.opening(texts[0]))
        for response, message in zip(texts[1::2], texts[2::2], strict=True):
            tokens.add_environment([*self._format.response(response), *self._format.follow_up(message, stopped=True)])
        return tokens


def _key(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(texts)
