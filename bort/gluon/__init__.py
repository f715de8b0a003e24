"""Everything that runs on MXNet: networks, training and search. Other code imports no MXNet."""

from bort.process.threads import set_thread_count

set_thread_count()
