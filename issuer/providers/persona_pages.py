"""Persona's list of inquiries, page by page. https://docs.withpersona.com/api-reference/inquiries"""

from collections.abc import AsyncIterator, Mapping

from issuer.providers.http import Answer, unexpected
from issuer.providers.persona_http import PersonaHttp
from issuer.providers.persona_inquiry import Inquiry, read_page


async def inquiry_pages(
    api: PersonaHttp, what: str, params: Mapping[str, str], *, most: int
) -> AsyncIterator[tuple[Answer, list[Inquiry]]]:
    """At most `most` pages, each with the answer that it came in. Raises `ProviderRefused`, `ProviderUnavailable`.

    `links.next` says that there is more and is never followed: it is an address chosen by the answer.
    """
    after: str | None = None
    for _ in range(most):
        answer = await api.get(what, "/inquiries", {**params, **({} if after is None else {"page[after]": after})})
        api.refuse(what, answer)
        page = read_page(answer.body)
        if page is None:
            raise unexpected("Persona", what, "answered with no list of inquiries", answer)
        inquiries, more = page
        yield answer, inquiries
        last = inquiries[-1].check_ref() if inquiries else None
        if not more or last is None or last == after:
            return
        after = last
