"""What can go wrong with Shopify, by what the caller may conclude from it."""


class ShopifyError(Exception):
    """A call that brought no answer to use."""


class NotSent(ShopifyError):
    """The call never left: the circuit is open, or there is no token. Nothing has happened at Shopify."""


class NotInstalled(NotSent):
    """The shop has not installed the app, has removed it, or its refresh token has run out: the merchant must come back."""


class Unanswered(ShopifyError):
    """No answer, or a server error. What was asked may have happened, or may still happen."""


class Throttled(ShopifyError):
    """Shopify had no capacity left and did nothing. `wait_s`: after how many seconds there should be enough."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"throttled for {wait_s:.1f} s")
        self.wait_s = wait_s


class Refused(ShopifyError):
    """Shopify answered and did nothing: a userError, an error in the document, a missing permission. `code` is Shopify's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
