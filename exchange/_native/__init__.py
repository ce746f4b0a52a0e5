"""The compiled core, built from ``native/``.  Only ``exchange.engine`` and ``exchange.protocol.wire`` import it."""
