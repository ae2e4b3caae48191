"""The first page: how things stand."""

from litestar import Response, get

from ums.console.pages import AnyRequest, page


@get("/home", scope="any")
async def home(request: AnyRequest) -> Response[str]:
    return page(request, "home.html")


handlers = [home]
