"""The page at `/` of a server, beside its other paths."""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastapi import FastAPI, HTTPException
from starlette.middleware.cors import CORSMiddleware

from speechverse.demo.page import build_page, look
from speechverse.serving.service import Service

_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]


def with_page(app: FastAPI) -> FastAPI:
    """What `create_app` made, with a page that asks through its engine, reads what its decoders
    have read, and is behind its door.
    """
    service: Service = app.state.service
    # Without one gradio lets any page elsewhere read answers; this one names none.
    app.add_middleware(CORSMiddleware)
    paths = frozenset(app.openapi()["paths"])

    @app.api_route("/v1/{rest:path}", methods=_METHODS, include_in_schema=False)
    async def no_page(rest: str) -> None:
        raise HTTPException(405 if f"/v1/{rest}" in paths else 404)

    page = build_page(service.loaded, engine=service.engine, check=service.check)
    how = {**look(), "max_file_size": service.settings.max_upload, "show_error": False}
    mounted: Any = gr.mount_gradio_app(app, page, "/", enable_monitoring=False, **how)
    # Each open page keeps a connection, which ends by this.
    service.at_stop.append(mounted.routes[-1].app.stop_event.set)
    return app
