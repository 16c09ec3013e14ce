"""The demo: a day of orders at two shops, sent as Shopify sends them and watched as customers watch.

It is a client and nothing more. It knows .loyalnest/demo.json and uses the doors that everybody has.
"""

from local.demo.play import demo

__all__ = ["demo"]
