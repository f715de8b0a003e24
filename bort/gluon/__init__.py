"""Everything that runs on MXNet: networks, training, Horovod. Nothing else imports them."""

from bort.process.threads import set_thread_count

set_thread_count()
