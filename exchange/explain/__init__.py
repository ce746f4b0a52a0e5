"""Why a liquidation went as it did, and every change of an account's money, told from a journal.

``source`` replays the journal command by command, ``books`` keeps every balance as the events tell it, ``cases`` finds
the liquidations, ``follow`` collects what belongs to one account, ``proof`` adds up who paid what, and ``words``,
``trail`` and ``picture`` show it.
"""
