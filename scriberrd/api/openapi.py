"""The API as OpenAPI 3.1 has it, made from the table of endpoints and the structs that it names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from types import NoneType
from typing import TYPE_CHECKING, Any, Union, get_args

import msgspec
from msgspec.structs import fields

from scriberrd import __version__, errors
from scriberrd.api.endpoint import JSON
from scriberrd.api.problems import VERSION_HEADER, Problem
from scriberrd.queue.queries import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from msgspec.structs import FieldInfo

    from scriberrd.api.endpoint import Endpoint

Schema = dict[str, Any]
Schemas = Mapping[Any, Schema]

REF = "#/components/schemas/{name}"
PROBLEM = "application/problem+json"
BINARY: Schema = {"type": "string", "format": "binary"}
ID: Schema = {"type": "integer", "minimum": 1, "maximum": LARGEST}
ALWAYS = (  # whatever is asked for
    *(errors.ScriberrdError, errors.TooManyConnections, errors.ShuttingDown, errors.Forbidden),
    *(errors.StoreError, errors.DatabaseBusy, errors.DatabaseReadOnly, errors.DatabaseCorrupt),
    *(errors.DiskFailed, errors.DiskFull),
)


def document(endpoints: Iterable[Endpoint]) -> Schema:
    """All endpoints, each with everything that it may be asked and may answer."""
    table, paths = list(endpoints), defaultdict[str, Schema](dict)
    kinds = [kind for one in table for kind in _kinds(one)]
    shapes, components = msgspec.json.schema_components([*kinds, Problem], ref_template=REF)
    schemas = dict(zip([*kinds, Problem], shapes, strict=True))
    for component in components.values():  # what is answered has its fields, default or not
        for name, field in component.get("properties", {}).items():
            if "default" in field:
                del field["default"]
                component["required"] = [*component.get("required", ()), name]
    for endpoint in table:
        paths[endpoint.path][endpoint.method.lower()] = _operation(endpoint, schemas)
    version = {"description": "the daemon's", "schema": {"type": "string"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "scriberrd", "version": __version__},
        "servers": [{"url": "http://localhost", "description": "at the Unix socket"}],
        "paths": paths,
        "components": {"schemas": components, "headers": {VERSION_HEADER: version}},
    }


def _kinds(endpoint: Endpoint) -> Iterator[Any]:
    """The types that this endpoint has schemas of."""
    if endpoint.result is not None:
        yield endpoint.result
    if endpoint.parameters is not None:
        yield from map(_written, fields(endpoint.parameters))
    if endpoint.body is not None:
        yield from (field.type for field in fields(endpoint.body))


def _written(field: FieldInfo) -> Any:
    """The type of a parameter as it is written in a URL, where there is no null."""
    if field.type is bytes:
        return str
    kinds = tuple(one for one in get_args(field.type) if one is not NoneType)
    return Union[kinds] if NoneType in get_args(field.type) else field.type  # noqa: UP007


def _operation(endpoint: Endpoint, schemas: Schemas) -> Schema:
    words = re.findall(r"[a-z]+", endpoint.path.removeprefix("/v1").replace("{id}", "one"))
    operation: Schema = {
        "operationId": "_".join([endpoint.method.lower(), *words]),
        "summary": endpoint.summary,
        "parameters": list(_parameters(endpoint, schemas)),
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.body is not None:
        operation["requestBody"] = _body(endpoint, schemas)
    return operation


def _parameters(endpoint: Endpoint, schemas: Schemas) -> Iterator[Schema]:
    if "{id}" in endpoint.path:
        yield {"name": "id", "in": "path", "required": True, "schema": ID}
    for field in fields(endpoint.parameters) if endpoint.parameters else ():
        # Where there is a body, too, they belong to one of its kinds.
        required = field.required and endpoint.body is None
        schema = _schema(field, schemas[_written(field)])
        yield {"name": field.encode_name, "in": "query", "required": required, "schema": schema}
    for name in endpoint.asks:
        yield {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}


def _schema(field: FieldInfo, schema: Schema) -> Schema:
    if field.required or field.default in (None, ()):
        return schema
    return schema | {"default": field.default}


def _body(endpoint: Endpoint, schemas: Schemas) -> Schema:
    given = list(fields(endpoint.body)) if endpoint.body else []
    content = {JSON: {"schema": _object((one, _schema(one, schemas[one.type])) for one in given)}}
    if endpoint.parameters is not None:  # or a file, which they tell about
        form = [one for one in given if not one.required]
        parts = _object((one, _schema(one, schemas[one.type])) for one in form)
        parts["properties"] |= {"file": BINARY}
        content["multipart/form-data"] = {"schema": parts | {"required": ["file"]}}
        content["application/octet-stream"] = {"schema": BINARY}
    return {"required": any(one.required for one in given), "content": content}


def _object(properties: Iterable[tuple[FieldInfo, Schema]]) -> Schema:
    given = list(properties)
    return {
        "type": "object",
        "properties": {field.encode_name: schema for field, schema in given},
        "required": [field.encode_name for field, _ in given if field.required],
        "additionalProperties": False,
    }


def _responses(endpoint: Endpoint, schemas: Schemas) -> Schema:
    headers = {VERSION_HEADER: {"$ref": f"#/components/headers/{VERSION_HEADER}"}}
    content = {kind: {"schema": _answer(endpoint, kind, schemas)} for kind in endpoint.media}
    responses: Schema = {}
    for status in endpoint.statuses:
        responses[str(int(status))] = {
            "description": status.phrase,
            "headers": headers,
            **({} if status is HTTPStatus.NOT_MODIFIED else {"content": content}),
        }
    codes = defaultdict[int, set[str]](set)
    for number, code in _refusals(endpoint):
        codes[number].add(code)
    for number, known in sorted(codes.items()):
        named = {"properties": {"code": {"enum": sorted(known)}}}
        refused: Schema = {PROBLEM: {"schema": {"allOf": [schemas[Problem], named]}}}
        if number == HTTPStatus.BAD_REQUEST:  # of the HTTP library, before a route is looked for
            refused["text/plain"] = {"schema": {"type": "string"}}
        description = f"{HTTPStatus(number).phrase}: {', '.join(sorted(known))}"
        responses[str(number)] = {"description": description, "content": refused}
    return responses


def _answer(endpoint: Endpoint, kind: str, schemas: Schemas) -> Schema:
    shape = schemas[endpoint.result] if endpoint.result else {}
    if kind == JSON:
        return shape
    text: Schema = {"type": "string"}
    return text | {"contentMediaType": JSON, "contentSchema": shape} if shape else text


def _refusals(endpoint: Endpoint) -> Iterator[tuple[int, str]]:
    """The status and code of every error that an endpoint can answer with."""
    yield HTTPStatus.BAD_REQUEST, errors.InvalidRequest.code  # interrupted
    kinds: list[type[errors.ScriberrdError]] = [*ALWAYS, *endpoint.errors]
    if "{id}" in endpoint.path:
        kinds.append(errors.JobNotFound)
    if "{id}" in endpoint.path or endpoint.parameters or endpoint.body:
        kinds.append(errors.InvalidRequest)
    if endpoint.body:
        kinds.append(errors.TooSlow)
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request_too_large"
    yield from ((kind.status, kind.code) for kind in kinds)
