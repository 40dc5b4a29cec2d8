"""What the fork server does before it forks (see `tests.forked`): imports, and word lists that every worker reads.

Nothing here may ask Polars for anything: its threads would not be there in the forks.
"""

import inspect

from streams import app as app
from streams.cli import worker as worker
from streams.flow.describe import goods, people
from tests import hurt as hurt

goods.read("某种大麻烦 abc")  # holds a term in a context that excludes it: all lists are read
people.courtesy(), people.placeholders(), people.simplified()
inspect.getmodule(goods.read)  # it looks up the files of all modules once, which Faust asks for with each agent
