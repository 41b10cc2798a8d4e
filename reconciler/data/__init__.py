"""Files that ship with the package: the parameter catalogue."""
