"""Everything that runs on MXNet: networks, training and search. Other code imports no MXNet."""

from bort.process.cuda_libraries import load_cuda_libraries
from bort.process.packages import restore_numpy_bool
from bort.process.threads import set_thread_count

set_thread_count()
load_cuda_libraries()
restore_numpy_bool()
