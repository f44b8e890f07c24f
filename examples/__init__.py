"""Programs that use autodiff and nn."""
