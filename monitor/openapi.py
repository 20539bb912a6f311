"""The HTTP interface in OpenAPI 3.1, kept by hand; a test holds it against the routes, another one plays with it.

`GET /openapi.json` serves it. The console's pages are for people and not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitor import __version__
from monitor.api import COMMANDS, STATES, json_response

Schema = Mapping[str, Any]

_ERROR: Final[Schema] = {
    "description": "what was wrong, in one sentence",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}},
            }
        }
    },
}
_TOKEN: Final[list[dict[str, list[str]]]] = [{"token": []}]


def _answer(description: str, schema: Schema | None = None) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": schema or {"type": "object"}}},
    }


def _errors(*statuses: int) -> dict[str, Any]:
    return {str(status): _ERROR for status in statuses}


def _path(name: str, schema: Schema | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema or {"type": "string", "minLength": 1},
    }


def _query(name: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _body(*types: str, schema: Schema | None = None) -> dict[str, Any]:
    return {"required": True, "content": {kind: {"schema": schema or {}} for kind in types}}


_RECEIPT: Final[Schema] = {
    "type": "object",
    "required": ["accepted"],
    "properties": {"accepted": {"type": "integer"}, "refused": {"type": "integer"}},
}
_CORRECTION: Final[Schema] = {
    "type": "object",
    "properties": {
        "reason": {"type": ["string", "null"]},
        "category": {"enum": ["product", "logistics", "service", "order", "unknown", None]},
        "severity": {"enum": ["general", "important", "major", None]},
        "text": {"type": ["string", "null"], "description": "needed where the complaint came long ago"},
    },
    "additionalProperties": False,
}

PATHS: Final[Mapping[str, Mapping[str, Any]]] = {
    "/metrics": {
        "get": {
            "summary": "Prometheus and OpenMetrics.",
            "responses": {"200": {"description": "metrics", "content": {"text/plain": {}}}},
        }
    },
    "/healthz": {
        "get": {
            "summary": "Whether process and loops are alive.",
            "responses": {"200": _answer("alive"), "503": _answer("not alive")},
        }
    },
    "/readyz": {
        "get": {
            "summary": "Whether the store answers and the lag is under the limit.",
            "responses": {"200": _answer("ready"), "503": _answer("not ready, and why")},
        }
    },
    "/v1/status": {"get": {"summary": "What it is doing.", "responses": {"200": _answer("status")}}},
    "/v1/parcels/{tracking_number}": {
        "get": {
            "summary": "State, expected delivery and open findings of a live parcel.",
            "parameters": [_path("tracking_number")],
            "responses": {"200": _answer("the parcel"), **_errors(404)},
        }
    },
    "/v1/explain/{subject}": {
        "get": {
            "summary": "Step by step, why a parcel, order, finding or action was acted on, or was not; "
            "coupon codes and customers only with the token.",
            "security": [{}, *_TOKEN],
            "parameters": [_path("subject")],
            "responses": {"200": _answer("its story"), **_errors(404)},
        }
    },
    "/v1/incidents": {
        "get": {
            "summary": "What ops would want to know now; with all=1 also what is over.",
            "parameters": [_query("all", {"type": "string"})],
            "responses": {"200": _answer("incidents", {"type": "array"})},
        }
    },
    "/v1/outbox": {
        "get": {
            "summary": "Messages and coupons on their way. Customers only with the token.",
            "security": [{}, *_TOKEN],
            "parameters": [_query("state", {"enum": list(STATES)})],
            "responses": {"200": _answer("entries", {"type": "array"}), **_errors(400)},
        }
    },
    "/v1/deadletters": {
        "get": {
            "summary": "What could not be read; raw payloads, so behind the token.",
            "security": _TOKEN,
            "parameters": [_query("count", {"type": "integer", "minimum": 1, "maximum": 10_000})],
            "responses": {"200": _answer("letters", {"type": "array"}), **_errors(400, 401)},
        }
    },
    "/v1/commands/{name}": {
        "post": {
            "summary": "What a person decides; audited with X-Forestall-Actor.",
            "security": _TOKEN,
            "parameters": [_path("name", {"enum": sorted(COMMANDS)})],
            "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": {"200": _answer("what was done"), **_errors(400, 401, 404, 409, 413)},
        }
    },
    "/v1/events": {
        "post": {
            "summary": "Canonical events: one, an array, or NDJSON. 2xx means durable.",
            "security": _TOKEN,
            "requestBody": _body("application/json", "application/x-ndjson"),
            "responses": {
                "200": _answer("all are durable", _RECEIPT),
                "422": _answer("the good ones are durable", _RECEIPT),
                **_errors(400, 401, 413, 415, 503),
            },
        }
    },
    "/v1/feeds": {
        "get": {
            "summary": "Freshness, rate, unknown codes, refused signatures and dead letters of each feed.",
            "responses": {"200": _answer("feeds", {"type": "array"})},
        }
    },
    "/v1/feeds/{feed}": {
        "post": {
            "summary": "A provider's own webhook, verified by its own signature; answered in its own format.",
            "parameters": [_path("feed")],
            "requestBody": _body("application/json", "application/x-www-form-urlencoded"),
            "responses": {
                "200": {"description": "durable, in the provider's own format"},
                "400": {"description": "signed, and unreadable: it is a dead letter"},
                "401": {"description": "no signature, or a wrong one"},
                "503": {"description": "not durable: send it again"},
                **_errors(404, 413),
            },
        },
        "get": {
            "summary": "For providers that check the URL first (WeChat).",
            "parameters": [_path("feed")],
            "responses": {
                "200": {"description": "the provider's own echo"},
                "401": {"description": "not from the provider"},
                **_errors(404, 405),
            },
        },
    },
    "/v1/complaints/{complaint}/correct": {
        "post": {
            "summary": "What a complaint really was: the reader of texts learns from it.",
            "security": _TOKEN,
            "parameters": [_path("complaint")],
            "requestBody": _body("application/json", schema=_CORRECTION),
            "responses": {"200": _answer("learned"), **_errors(400, 401, 404, 413)},
        }
    },
    "/openapi.json": {"get": {"summary": "This.", "responses": {"200": _answer("OpenAPI")}}},
}

DOCUMENT: Final[Mapping[str, Any]] = {
    "openapi": "3.1.0",
    "info": {"title": "Forestall", "version": __version__},
    "paths": PATHS,
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
}


async def _serve(_request: Request) -> Response:
    return json_response(DOCUMENT)


def openapi_route() -> Route:
    return Route("/openapi.json", _serve, methods=["GET"])
