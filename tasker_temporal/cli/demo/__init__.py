"""`tasker demo`: the example's orders on a server of its own, told while they run and summed up at the end."""
