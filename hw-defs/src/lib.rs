//! What an NVIDIA GPU reads.
