"""Several serving processes on one port: started, watched, replaced, counted, and stopped as one."""
