"""What runs the jobs of a sweep: this process, processes of this host, or Ray. Each is ``run(orders, ...)``."""
