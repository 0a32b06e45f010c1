"""YAML files that people write, checked on load with the line of each mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from cxlib.errors import CxError

__all__ = ["read_description", "words_at"]

Model = TypeVar("Model", bound=BaseModel)
_MOST_WORDS = 1_000_000


def read_description(
    path: str | Path,
    model: type[Model],
    *,
    says: str,
    needs: str,
    context: Mapping[str, Any] | None = None,
) -> Model:
    """What a YAML file says, checked against a pydantic model.

    Parameters
    ----------
    path
        The file.
    model
        What it may say.
    says
        What such a file is for, put after "it says" when there is none.
    needs
        The words that it needs at least, for one that is empty.
    context
        What its validators know beside the file.

    Returns
    -------
    pydantic.BaseModel
        An instance of ``model``.

    Raises
    ------
    CxError
        When the file is missing, is not YAML, or says something that it may not; the message names
        the file, the line and the mend.

    Examples
    --------
    >>> class Shop(BaseModel):
    ...     name: str
    >>> read_description("nowhere/shop.yml", Shop, says="what the shop is called", needs="name")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no file 'nowhere/shop.yml'; it says what the shop is called
    """
    path = Path(path)
    where = path.as_posix()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise CxError(f"there is no file {where!r}; it says {says}") from error
    except UnicodeDecodeError as error:
        raise CxError(f"the file {where!r} is not UTF-8 text; save it in UTF-8") from error
    except OSError as error:
        raise CxError(f"the file {where!r} cannot be read: {error.strerror}") from error
    try:
        tree, content = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
        words = _count_words(tree, {})
    except RecursionError as error:
        raise CxError(f"{path.name} nests its words too deeply; write it flatter") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise CxError(f"{path.name}{line}: {problem}") from error
    if words > _MOST_WORDS:
        raise CxError(
            f"{path.name} repeats its own parts until they are {words:,} words; write it shorter"
        )
    if tree is None or not isinstance(content, dict):
        raise CxError(f"{path.name} is empty or not a mapping; it needs at least {needs}")
    try:
        return model.model_validate(content, context=context)
    except ValidationError as error:
        raise CxError(_explain(path.name, tree, error, model)) from error


def _count_words(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Words of a part as it reads once written out; a word that stands twice is refused."""
    # A part may name another that stands elsewhere: thirty lines then stand for a thousand million.
    if node is None or id(node) in known:
        return 0 if node is None else known[id(node)]
    known[id(node)] = 0  # a part that names itself
    count = 1
    if isinstance(node, yaml.SequenceNode):
        count += sum(_count_words(item, known) for item in node.value)
    if isinstance(node, yaml.MappingNode):
        words: set[str] = set()
        for key, value in node.value:
            # YAML itself keeps the last one in silence.
            if key.value in words:
                raise yaml.MarkedYAMLError(
                    problem=f"the word {key.value!r} stands twice; remove one",
                    problem_mark=key.start_mark,
                )
            words.add(str(key.value))
            count += 1 + _count_words(value, known)
    known[id(node)] = count
    return count


_MEANT = {
    "extra_forbidden": "the word {word!r} means nothing here",
    "missing": "the word {word!r} is missing",
    "string_type": "write a text; put it in quotes where YAML reads it as something else",
    "tuple_type": "write a list, such as [one, another]",
    "dict_type": "write words with values, such as {{name: value}}",
    "model_type": "write words with values, such as {{name: value}}",
    "invalid_key": "YAML reads a word here as no text; put it in quotes",
}
"""Mistakes that pydantic words for programmers, by its name for them."""


def _explain(file: str, tree: yaml.Node, error: ValidationError, model: type[BaseModel]) -> str:
    mistakes = error.errors()
    # A field that may be text or a mapping gives one error for each form: the deepest is the one,
    # and a word that means nothing says more than the one that is missing for it.
    telling = ("extra_forbidden", "value_error")
    mistake = max(mistakes, key=lambda item: (len(item["loc"]), item["type"] in telling))
    line, known = _locate(tree, mistake["loc"])
    place = ".".join(str(part) for part in known)
    said = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] in _MEANT:
        said = _MEANT[mistake["type"]].format(word=mistake["loc"][-1])
    if mistake["type"] == "extra_forbidden":
        said += _likely(str(mistake["loc"][-1]), words_at(model, mistake["loc"][:-1]))
    if mistake["type"] == "value_error" and not known:
        line = _line_of(tree, said) or line
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    return f"{file} line {line}{', ' + place if place else ''}: {said}{more}"


def _likely(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def words_at(model: type[BaseModel], loc: Iterable[str | int]) -> set[str]:
    """Words that a model knows at a place inside it.

    Parameters
    ----------
    model
        The model of the whole.
    loc
        Names, numbers in lists and forms (text or mapping) on the way to the place, as pydantic
        gives them.

    Examples
    --------
    >>> from cxlib.ingest.config import Sources
    >>> sorted(words_at(Sources, ["checks", 0, "agree", 1]))
    ['source', 'when']
    """
    here: list[Any] = [model]
    for part in loc:
        inside = [found for kind in here for found in _inside(kind, part)]
        here = inside or here  # the name of a form is no place
    return {
        field.alias or name
        for kind in here
        if _is_model(kind)
        for name, field in kind.model_fields.items()
    }


def _inside(kind: Any, part: str | int) -> list[Any]:
    """Models and containers of a part of a model or a container."""
    if _is_model(kind):
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        return _kinds(fields[part].annotation) if part in fields else []
    of = get_args(kind)
    if get_origin(kind) is dict:
        return _kinds(of[1])
    return [found for item in of for found in _kinds(item)] if isinstance(part, int) else []


def _kinds(annotation: Any) -> list[Any]:
    """Models and containers that an annotation allows."""
    if _is_model(annotation):
        return [annotation]
    origin = get_origin(annotation)
    if origin in (dict, tuple, list):
        return [annotation]
    inner = get_args(annotation)[:1] if origin is Annotated else get_args(annotation)
    return [found for item in inner for found in _kinds(item)] if origin is not Literal else []


def _line_of(tree: yaml.Node, said: str) -> int | None:
    """Line of the first word in quotes, of a mistake of the whole, that stands in one place."""
    words = list(_words_of(tree, set()))
    for name in re.findall(r"'([^']*)'", said.partition(";")[0]):
        lines = [line for word, line in words if word == name]
        if len(lines) == 1:
            return lines[0]
    return None


def _words_of(node: yaml.Node, seen: set[int]) -> Iterator[tuple[str, int]]:
    """Words of a tree with their lines; a part that stands in several places once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield str(node.value), node.start_mark.line + 1
        return
    for item in node.value:
        for part in item if isinstance(item, tuple) else (item,):
            yield from _words_of(part, seen)


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _locate(tree: yaml.Node, loc: tuple[str | int, ...]) -> tuple[int, list[str | int]]:
    """Line of the deepest part of a place in the file that exists, and that part's path."""
    node, line, known = tree, tree.start_mark.line + 1, []
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            if part not in pairs:
                continue  # the name of a form (text or mapping), not of a place
            key, node = pairs[str(part)]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
        known.append(part)
    return line, known
