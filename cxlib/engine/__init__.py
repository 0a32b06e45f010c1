"""Where data live: connections to engines, and the store of snapshots."""
