"""What the fork server does before it forks (see `tests.forked`): imports, and word lists and tables that every
worker reads.

Nothing here may have Polars compute anything: its threads would not be there in the forks.
"""

import gc
import inspect
import sys

from faust import events as events
from faust import topics as topics
from faust.app import router as router
from faust.assignor import leader_assignor as leader_assignor
from faust.assignor import partition_assignor as partition_assignor
from faust.fixups import django as django
from faust.stores import base as base
from faust.tables import objects as objects
from faust.tables import sets as sets
from faust.transport import drivers
from faust.transport import utils as utils
from numpy import ma as ma
from rich import live as live
from rich import progress as progress
from rich import table as table
from typer import _adapters as _adapters

from desk import dispatcher as dispatcher
from desk.traces import tracer as tracer
from streams import app as app
from streams.cli import worker as worker
from streams.files import bulk as bulk
from streams.files.backtest import page as page
from streams.files.backtest import run as run
from streams.flow.describe import documents, goods, people
from streams.flow.front import tables
from streams.kafka import replay as replay
from streams.worker import instance as instance
from tests import hurt as hurt

goods.read("某种大麻烦 abc")  # holds a term in a context that excludes it: all lists are read
people.courtesy(), people.placeholders(), people.simplified()
documents.regions()
drivers.by_url("waybill://")  # it looks for what is installed
inspect.getmodule(sys._getframe())  # it looks up the files of all modules once, which Faust asks for with each agent
tables.fingerprint()
gc.collect()
gc.freeze()  # no collection in a fork goes through all this, and copies its pages
