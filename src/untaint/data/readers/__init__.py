"""One format per file; `untaint.data.load` finds the right one."""
