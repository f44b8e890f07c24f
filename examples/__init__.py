"""Programs to run and read. (A package, so that no other one of this name shadows it.)"""
