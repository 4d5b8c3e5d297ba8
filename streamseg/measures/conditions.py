"""Conditions on shares, as people write them: ``car + bus > 10% and pedestrian >= 2%``.

    condition   = all { "or" all }
    all         = comparison { "and" comparison }
    comparison  = sum ( ">" | ">=" | "<" | "<=" ) number [ "%" ] | "(" condition ")"
    sum         = class { "+" class }

Classes are known names, in any case, with their spaces; in quotes where a name would read as
something else.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import UsageError

Shares = NDArray[np.float64]
Test = Callable[[Shares], bool]

_COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_JOINT = re.compile(r"(and|or)(?![\w-])", re.IGNORECASE)
_SIGN = re.compile(r">=|<=|[<>+()]")
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)\s*(%?)")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_WORD = re.compile(r"[^\s<>=+()]+|.")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """class, number, end, or the sign or word itself."""
    value: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on the shares of a frame."""

    text: str
    """As it was written."""
    holds: Test
    """Whether it holds for shares ``[K]``, 0..1."""

    @classmethod
    def parse(cls, text: str, classes: Sequence[str]) -> Condition:
        """A condition over these classes.

        Raises:
            UsageError: it cannot be read, or names a class that is none of them.
        """
        parser = _Parser(text, classes)
        test = parser.condition()
        parser.take("end")
        return cls(text, test)


class _Parser:
    def __init__(self, text: str, classes: Sequence[str]) -> None:
        self._text, self._classes = text, classes
        self._longest_first = sorted(range(len(classes)), key=lambda i: -len(classes[i]))
        self._tokens = self._split()

    def condition(self) -> Test:
        parts = [self._all()]
        while self._next_is("or"):
            parts.append(self._all())
        return lambda shares: any(part(shares) for part in parts)

    def _all(self) -> Test:
        parts = [self._comparison()]
        while self._next_is("and"):
            parts.append(self._comparison())
        return lambda shares: all(part(shares) for part in parts)

    def _comparison(self) -> Test:
        if self._next_is("("):
            inner = self.condition()
            self.take(")")
            return inner
        which = [int(self.take("class").value)]
        while self._next_is("+"):
            which.append(int(self.take("class").value))
        compare = _COMPARE[self.take(*_COMPARE).kind]
        limit = self.take("number").value
        return lambda shares: bool(compare(float(shares[which].sum()), limit))

    def take(self, *kinds: str) -> _Token:
        """The next token, which must be of one of these kinds."""
        token = self._tokens[0]
        if token.kind not in kinds:
            wanted = {
                "class": "a class",
                "number": "a share as 2%",
                "end": "'and' or 'or'",
            }
            raise self._unreadable(
                f"{' or '.join(wanted.get(k, k) for k in kinds)} is expected "
                + (f"before {token.text!r}" if token.text else "at its end")
            )
        return self._tokens.pop(0) if token.kind != "end" else token

    def _next_is(self, kind: str) -> bool:
        if self._tokens[0].kind != kind:
            return False
        self._tokens.pop(0)
        return True

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        while rest := self._text[at:].lstrip():
            at = len(self._text) - len(rest)
            token = self._token(rest)
            tokens.append(token)
            at += len(token.text)
        return [*tokens, _Token("end")]

    def _token(self, rest: str) -> _Token:
        if quoted := _QUOTED.match(rest):
            name = quoted[1] if quoted[1] is not None else quoted[2]
            return _Token("class", self._index(name), quoted[0])
        if joint := _JOINT.match(rest):
            return _Token(joint[0].casefold(), text=joint[0])
        if (known := self._known(rest)) is not None:
            return _Token("class", known, rest[: len(self._classes[known])])
        if sign := _SIGN.match(rest):
            return _Token(sign[0], text=sign[0])
        if number := _NUMBER.match(rest):
            return _Token("number", self._share(number), number[0])
        word = _WORD.match(rest)
        assert word is not None, "some character is left"
        return _Token("class", self._index(word[0]), word[0])

    def _known(self, rest: str) -> int | None:
        """The class whose name stands at the beginning, whole."""
        for index in self._longest_first:
            name = self._classes[index]
            behind = rest[len(name) : len(name) + 1]
            if rest[: len(name)].casefold() == name.casefold() and not (
                behind.isalnum() or behind == "_"
            ):
                return index
        return None

    def _index(self, name: str) -> int:
        for index, known in enumerate(self._classes):
            if known.casefold() == name.casefold():
                return index
        raise self._unreadable(f"unknown class {name!r}; known: {', '.join(self._classes)}")

    def _share(self, number: re.Match[str]) -> float:
        share = float(number[1]) / (100 if number[2] else 1)
        if share > 1:
            raise self._unreadable(
                f"{number[0]} is more than the whole picture; write {number[1]}%"
            )
        return share

    def _unreadable(self, why: str) -> UsageError:
        return UsageError(f"--when {self._text!r}: {why}")
