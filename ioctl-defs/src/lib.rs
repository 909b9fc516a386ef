//! What the Linux GPU drivers read.
