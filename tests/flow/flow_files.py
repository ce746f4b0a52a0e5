"""Small recordings of each format, made up so that every figure can be followed by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

#: Two levels, prices in cents x 100.  Row 3 has no command: a hidden order was executed, the book stays.  Row 7 is an
#: execution in which the venue itself did not follow time priority: it names order 4, the engine hits order 6.
COMMANDS = """\
row,t_ns,cmd,order_id,side,price,qty,origin
0,100,A,1,B,10000,100,S
0,100,A,2,B,9900,50,S
0,100,A,3,S,10100,80,S
0,100,A,4,S,10200,60,S
0,100,A,5,B,10000,30,M
1,200,T,1,S,10000,40,M
2,300,X,1,B,10000,60,M
4,400,R,3,S,10100,30,M
5,500,A,6,S,10100,20,M
6,600,T,3,B,10100,50,M
7,700,T,4,B,10100,10,P
8,800,X,6,S,10100,10,M
"""
BOOK = """\
10100,80,10000,130,10200,60,9900,50
10100,80,10000,90,10200,60,9900,50
10100,80,10000,30,10200,60,9900,50
10100,80,10000,30,10200,60,9900,50
10100,50,10000,30,10200,60,9900,50
10100,70,10000,30,10200,60,9900,50
10100,20,10000,30,10200,60,9900,50
10100,10,10000,30,10200,60,9900,50
10200,60,10000,30,9999999999,0,9900,50
"""

#: A futures venue: a snapshot, a pre-open whose book crosses itself until the auction's orders leave at 20, replaces,
#: an iceberg's next slice, an order that the venue filled later than the engine does.
AUCTION_DAY = """\
t_ns,cmd,order_id,side,price,qty,origin,makers
0,A,b1,B,100,5,S,
0,A,a1,S,102,5,S,
10,A,b2,B,103,4,M,
11,A,a2,S,101,3,M,
12,M,b1,B,101,6,M,
13,R,b2,B,103,1,M,
20,X,b2,B,103,3,M,
20,X,a2,S,101,3,M,
30,A,b3,B,101,2,M,
31,T,t1,S,101,7,M,b1:6 b3:1
40,A,b4,B,101,4,M,
41,M,b3,B,101,1,M,
42,T,t2,S,101,5,M,b4:4 b3:1
50,A,i1,S,103,2,M,
51,T,t3,B,102,5,M,a1:5
52,T,t4,B,103,2,M,i1:2
53,A,i1,S,103,2,I,
54,X,i1,S,103,2,M,
60,A,c1,S,105,1,M,
61,A,c2,S,105,1,M,
62,T,t5,B,105,2,M,c2:1 c1:1
70,A,d1,S,110,1,M,
71,T,t6,B,110,1,M,z9:1
72,M,d1,S,111,2,M,
73,M,d1,S,109,3,M,
74,X,d1,S,109,3,M,
75,X,q1,S,111,2,M,
"""

#: A spot venue's events.  Order 4 is reported filled although nobody bought it; order 99 stood there before the start.
EVENTS = """\
id,timestamp,exchange.timestamp,price,volume,action,direction
1,1000,999,10.50,100,created,bid
2,1001,1000,10.5,60,created,ask
1,1002,999,10.50,40,changed,bid
2,1002,1000,10.5,0,deleted,ask
3,1003,1003,10.40,5,created,bid
3,1004,1003,10.40,5,deleted,bid
1,1005,999,10.50,40,deleted,bid
4,1006,1006,11,7,created,ask
4,1007,1006,11,0,deleted,ask
5,1008,1008,11,7,created,bid
99,1009,900,12,5,deleted,ask
"""


def write(path: Path, text: str) -> Path:
    """Writes a file, gzipped if its name says so."""
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def with_line(text: str, line: int, new: str) -> str:
    """The text with one line (from 1) in another wording."""
    lines = text.splitlines(keepends=True)
    lines[line - 1] = new + "\n"
    return "".join(lines)
