"""Work that is done because time has passed."""
