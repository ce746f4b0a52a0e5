"""Recorded order flow of real venues through the engine, compared with what those venues recorded.

``exchange replay-l3`` is the command.  The rooms, in the order in which data goes through them:

    lines       a file, gzipped or not, as numbered rows; what is wrong with one is said with its line
    recording   the formats: command streams (NASDAQ by LOBSTER, CME), order events (Bitstamp), books after each row
    opening     where a pre-open ends, found by following the book without matching
    venue       an engine with one symbol and credit without end, and the book that a subscriber sees
    replay      recording and venue side by side: rows, executions and makers that are the same
    report      what came out, in words and as JSON
"""

from exchange.flow.command_line import main

__all__ = ["main"]
