"""The console command `bort` and its subcommands."""
