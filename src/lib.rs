//! Drives NVIDIA GPUs straight through their kernel driver.
