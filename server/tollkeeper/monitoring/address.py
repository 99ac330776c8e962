"""What goes wrong with the address; apart, since HTTP takes a while to load and not everybody shows metrics."""


class EndpointError(Exception):
    """The address cannot be listened on; the message names it."""
